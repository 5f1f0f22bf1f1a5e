// Follows a run: puts the parts of the page that the server sends in the place of the old ones.
const place = document.getElementById("standing");
const note = document.getElementById("following");

function follow(address) {
  const source = new EventSource(address);
  source.addEventListener("standing", (event) => {
    const before = stepOf(place), wasPaused = isPauseAsked(place);
    place.innerHTML = JSON.parse(event.data); // made and escaped by our own server
    note.textContent = "This page follows the run.";
    if (wasPaused !== isPauseAsked(place)) location.reload(); // its buttons are others
    else if (before !== stepOf(place)) redraw();
  });
  source.addEventListener("gone", (event) => {
    note.textContent = `The run cannot be followed: ${JSON.parse(event.data)} Trying again.`;
  });
  source.addEventListener("end", () => {
    source.close();
    location.reload();
  });
  source.onerror = () => {
    if (source.readyState === EventSource.CLOSED) note.textContent = "This page no longer follows the run. Load it again.";
  };
}

async function redraw() {
  const answer = await fetch(place.dataset.figures);
  if (answer.ok && !answer.redirected) document.getElementById("figures").innerHTML = await answer.text();
}

function stepOf(element) {
  return element.querySelector("[aria-current] strong")?.textContent ?? "";
}

function isPauseAsked(element) {
  return element.querySelector("[data-pause]") !== null;
}

if (place?.dataset.follow) follow(place.dataset.follow);
