// The wall in the page as it was served, before Streamlit has started: its rows can be read, searched and opened.
// What needs the server waits for the wall that takes this one's place.

const goTo = { open: "case", look: "weights" };
const send = (name, { kind, ids }) => goTo[kind] && location.assign(`${goTo[kind]}?${first.wall.row(ids[0]).query}`);
const first = window.subrandomFirst;
const data = { ...JSON.parse(document.getElementById("first-wall-data").textContent), dark: first.dark };
first.wall = new Wall(document.getElementById("first-wall"), { data, setStateValue() {}, setTriggerValue: send });
