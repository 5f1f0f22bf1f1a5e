"""Models behind endpoints of the site: who may be asked, what is asked, and the one client that asks."""
