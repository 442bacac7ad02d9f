// One row of the wall as real text: screen readers and Ctrl+F find it. Text is never parsed as markup.

const NOTHING = "–";
const LABELS = ["", "", "In the file", "Data", "Loss (nats)", "Verdict", "Reference", "Decision", "Last run", ""];

const ROLES = { table: "table", thead: "rowgroup", tbody: "rowgroup", tr: "row", td: "cell" };

function make(tag, classes, text) {
  const made = document.createElement(tag);
  if (classes) made.className = classes;
  if (text !== undefined && text !== null) made.textContent = text;
  if (ROLES[tag]) made.setAttribute("role", ROLES[tag]);  // which the style sheet's grid takes from a table
  return made;
}

function button(label, classes, does, title) {
  const made = make("button", classes, label);
  made.type = "button";
  if (title) made.title = title;
  made.addEventListener("click", does);
  return made;
}

// A word behind its mark, in the colour of its severity.
function toned([mark, tone, word], classes = "") {
  const made = make("span", `sw-${tone} ${classes}`);
  const sign = make("span", "sw-mark", mark);
  sign.setAttribute("aria-hidden", "true");
  made.append(sign, ` ${word}`);
  return made;
}

// The loss on the shared axis from 0 to `right` nats; the zones are the row's own.
function ruler(row, right, tall = false) {
  const made = make("div", tall ? "sw-ruler sw-tall" : "sw-ruler");
  made.setAttribute("role", "img");
  made.setAttribute("aria-label", row.says);
  const at = (nats) => `${(100 * Math.min(Math.max(nats, 0), right)) / right}%`;
  for (const [zone, from, to] of row.zones) {
    if (from >= right) continue;
    const band = make("i", `sw-zone sw-${zone}`);
    band.style.left = at(from);
    band.style.width = `calc(${at(Math.min(to, right))} - ${at(from)})`;
    made.append(band);
  }
  for (const [kind, nats] of row.marks) {
    const mark = make("i", `sw-point sw-at-${kind}${nats > right ? " sw-beyond" : ""}`);
    mark.style.left = at(nats);
    mark.title = `${kind} ${nats.toFixed(3)} nats`;
    made.append(mark);
  }
  return made;
}

function cell(row, classes, ...parts) {
  const made = make("td", classes);
  if (LABELS[row.children.length]) made.dataset.label = LABELS[row.children.length];  // a phone has no head of columns
  made.append(...parts.filter((part) => part !== null && part !== ""));
  if (made.textContent === NOTHING) made.classList.add("sw-nothing");
  row.append(made);
  return made;
}

const small = (text, classes = "") => (text ? make("div", `sw-small ${classes}`, text) : "");

// do: what the row's own controls call, by name.
function drawRow(row, right, may, act) {
  const made = make("tr", "sw-row");
  made.dataset.id = row.id;
  made.tabIndex = -1;
  const box = make("input");
  box.type = "checkbox";
  box.setAttribute("aria-label", `Select ${row.name}`);
  box.addEventListener("change", () => act.select(row.id, box.checked));
  const pin = button("☆", "sw-pin", () => act.pin(row.id), "Pin to the top");
  pin.setAttribute("aria-label", `Pin ${row.name}`);
  cell(made, "sw-select", box, pin);
  const link = make("a", "sw-name", row.name);
  link.href = `case?${row.query}`;
  link.addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    act.open(row.id);
  });
  cell(made, "sw-wide", link, row.isNew ? make("span", "sw-new", "new") : "", small(row.folder), small(row.kind),
    row.copies.length ? small(`same bytes: ${row.copies.slice(0, 3).join(", ")}${row.copies.length > 3 ? ` and ${row.copies.length - 3} more` : ""}`) : "");
  cell(made, "sw-wide", toned(row.look), small(row.lookText));
  cell(made, "", row.data ? toned(row.data) : NOTHING, small(row.shard));
  cell(made, "sw-loss", row.zones.length ? ruler(row, right) : "", make("div", "sw-number", row.loss || NOTHING));
  cell(made, "sw-wide", toned(row.verdict, "sw-verdict"), small(row.cause));
  cell(made, "", document.createTextNode(row.reference || NOTHING), small(row.referenceText));
  cell(made, "", document.createTextNode(row.decision || NOTHING), small(row.owner ? `owner: ${row.owner}` : ""), small(row.note));
  cell(made, "", document.createTextNode(row.last || NOTHING), small(row.records));
  const [does, label] = row.next;
  const go = button(label, "sw-next", () => act[does](row.id));
  go.disabled = does === "test" && !may.test || does === "decide" && !may.decide;
  go.setAttribute("aria-label", `${label}: ${row.name}`);
  cell(made, "", go);
  return made;
}
