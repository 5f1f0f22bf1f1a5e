// Follows a run: puts the part of the page that the server sends in the place of the old one.
const place = document.getElementById("standing");
const note = document.getElementById("following");

function follow(address) {
  const source = new EventSource(address);
  source.addEventListener("standing", (event) => {
    const isNewStep = place.innerText && stepOf(place);
    place.innerHTML = JSON.parse(event.data); // made and escaped by our own server
    note.textContent = "This page follows the run.";
    if (isNewStep && isNewStep !== stepOf(place)) place.dispatchEvent(new CustomEvent("step", { bubbles: true }));
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

function stepOf(element) {
  return element.querySelector("[aria-current] strong")?.textContent ?? "";
}

if (place?.dataset.follow) follow(place.dataset.follow);
