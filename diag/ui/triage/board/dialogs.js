// What opens above the wall: decide, reference, compare, help, and one case a screen.

function dialog(root, title, draw) {
  const made = make("dialog", "sw-dialog");
  made.setAttribute("aria-label", title);
  const head = make("div", "sw-head");
  head.append(make("h2", "", title), button("✕", "sw-close", () => made.close(), "Close (Esc)"));
  head.lastChild.setAttribute("aria-label", "Close");
  made.append(head);
  draw(made);
  made.addEventListener("close", () => made.remove());
  root.append(made);
  made.showModal();
  made.querySelector("select, input")?.focus();
  return made;
}

function field(label, input) {
  const made = make("label", "sw-field");
  input.setAttribute("aria-label", label);
  made.append(make("span", "", label), input);
  return made;
}

function choice(options, value) {
  const made = make("select");
  for (const [key, label] of options) {
    const option = make("option", "", label);
    option.value = key;
    option.selected = key === value;
    made.append(option);
  }
  return made;
}

function decideDialog(app, ids) {
  const rows = ids.map((id) => app.row(id)).filter(Boolean);
  const title = rows.length === 1 ? `Decide: ${rows[0].name}` : `Decide ${rows.length} cases`;
  dialog(app.root, title, (made) => {
    const form = make("form");
    const what = choice(app.data.decisions, rows[0]?.decided || "accept");
    const others = app.data.rows.filter((row) => !ids.includes(row.id)).map((row) => [row.id, `${row.name} · ${row.folder}`]);
    const of = choice(others.slice(0, 500), "");
    const ofField = field("of", of);
    const owner = make("input");
    owner.value = rows.length === 1 ? rows[0].owner : "";
    const note = make("textarea");
    note.rows = 3;
    note.maxLength = 2000;
    const show = () => { ofField.hidden = what.value !== "duplicate_of"; };
    what.addEventListener("change", show);
    show();
    const save = make("button", "sw-next", "Record the decision");
    save.type = "submit";
    form.append(field("Decision", what), ofField, field("Owner", owner), field("Note", note),
      make("p", "sw-small", `Signed: ${app.data.by || "nobody (set `name` in the settings)"}. It is added to the history and cannot be edited.`), save);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      app.send({ kind: "decide", ids, what: what.value, of: what.value === "duplicate_of" ? of.value : "", owner: owner.value, note: note.value });
      made.close();
    });
    // One line is decided with Enter; in the note that is Ctrl+Enter.
    note.addEventListener("keydown", (event) => { if (event.key === "Enter" && event.ctrlKey) form.requestSubmit(); });
    made.append(form);
    if (rows.length === 1 && rows[0].history.length) {
      made.append(make("h3", "", "History"));
      const list = make("ul");
      list.append(...rows[0].history.map((line) => make("li", "", line)));
      made.append(list);
    }
  });
}

function referenceDialog(app, id) {
  const row = app.row(id);
  dialog(app.root, `Test ${row.name} beside`, (made) => {
    const fits = new Set(row.fits);
    const others = app.data.rows.filter((other) => other.checkpoint !== row.checkpoint && other.here);
    const options = [["", "no reference"], ...row.fits.map((name) => [name, `${name} · fits`]),
      ...others.filter((other) => !fits.has(other.checkpoint)).map((other) => [other.checkpoint, `${other.checkpoint} · ${whyNot(row, other)}`])];
    const pick = choice(options.slice(0, 600), row.referenceId || row.fits[0] || "");
    const form = make("form");
    const go = make("button", "sw-next", "Test beside it");
    go.type = "submit";
    go.disabled = !app.data.may.test;
    form.append(field("Reference", pick), go);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      app.send({ kind: "test", ids: [id], reference: pick.value });
      made.close();
    });
    made.append(form);
  });
}

const whyNot = (row, other) =>
  !row.shapes || !other.shapes ? "its sizes are not known" : row.shapes !== other.shapes ? "another architecture or size" : "something is wrong with it";

// Side by side, only what differs.
function compareDialog(app, ids) {
  const rows = ids.map((id) => app.row(id)).filter(Boolean);
  dialog(app.root, `Compare ${rows.length} cases: what differs`, (made) => {
    const facts = [["Verdict", (r) => r.verdict[2]], ["Cause", (r) => r.cause], ["Loss (nats)", (r) => r.loss], ["Repaired (nats)", (r) => r.repaired],
      ["Family, size, fingerprint", (r) => r.kind], ["In the file", (r) => `${r.look[2]} ${r.lookText}`],
      ["Data", (r) => (r.data ? r.data[2] : "")], ["Shard", (r) => r.shard], ["Reference", (r) => r.reference], ["Decision", (r) => r.decision],
      ["Owner", (r) => r.owner], ["Last run", (r) => r.last]];
    const table = make("table", "sw-compare");
    const head = make("tr");
    head.append(make("th", "", ""), ...rows.map((row) => make("th", "", row.name)));
    table.append(head);
    for (const [label, of] of facts) {
      const values = rows.map((row) => of(row) || NOTHING);
      if (new Set(values).size < 2) continue;
      const line = make("tr");
      line.append(make("th", "", label), ...values.map((value) => make("td", "", value)));
      table.append(line);
    }
    const rulers = make("tr");
    rulers.append(make("th", "", "Ruler"), ...rows.map((row) => { const td = make("td"); td.append(ruler(row, app.data.right)); return td; }));
    table.append(rulers);
    made.append(table);
  });
}

const KEYS = [["j, k", "next, previous row"], ["Enter", "open the case"], ["t", "test it, or all that are selected"], ["r", "test it beside a reference"],
  ["d", "decide"], ["x", "select"], ["a", "select all that are shown, or none"], ["p", "pin"], ["/", "search"], ["f", "present: one case a screen"], ["Esc", "close"], ["?", "these keys"]];

function helpDialog(app) {
  dialog(app.root, "Keyboard", (made) => {
    const table = make("table", "sw-compare");
    for (const [key, says] of KEYS) {
      const line = make("tr");
      line.append(make("th", "", key), make("td", "", says));
      table.append(line);
    }
    made.append(table);
  });
}

// One case a screen, readable from the back of a room.
class Presentation {
  constructor(app, id) {
    this.app = app;
    this.place = make("dialog", "sw-present");
    this.place.setAttribute("aria-label", "Present");
    this.place.addEventListener("close", () => { this.place.remove(); app.presented(null); });
    app.root.append(this.place);
    this.show(id || app.visible[0]);
    this.place.showModal();
  }

  step(by) {
    const ids = this.app.visible;
    this.show(ids[Math.min(Math.max(ids.indexOf(this.id) + by, 0), ids.length - 1)]);
  }

  show(id) {
    const row = this.app.row(id);
    if (!row) return;
    this.id = id;
    const ids = this.app.visible;
    const bar = make("div", "sw-bar");
    bar.append(make("span", "", `${ids.indexOf(id) + 1} of ${ids.length}`), button("←", "", () => this.step(-1), "Previous (k)"),
      button("→", "", () => this.step(1), "Next (j)"), button("Decide (d)", "", () => decideDialog(this.app, [this.id])),
      button("Close (Esc)", "", () => this.place.close()));
    const verdict = make("h1");
    verdict.append(toned(row.verdict));
    const todo = make("ul");
    todo.append(...row.todo.map((line) => make("li", "", line)));
    this.place.replaceChildren(bar, make("p", "sw-title", row.name), make("p", "sw-small", row.folder), verdict, make("p", "sw-cause", row.cause),
      ruler(row, this.app.data.right, true), axis(this.app.data.right),
      make("p", "sw-number", row.repaired ? `${row.loss} → ${row.repaired} nats` : row.loss ? `${row.loss} nats` : "no loss yet"),
      make("p", "", row.text || row.lookText || "Nobody has run it yet."), todo,
      make("p", "sw-decision", [row.decision, row.owner && `owner: ${row.owner}`, row.note].filter(Boolean).join(" · ") || "no decision yet"));
    this.app.presented(id);
  }
}

function axis(right) {
  const made = make("div", "sw-axis");
  made.setAttribute("aria-hidden", "true");
  const step = right > 30 ? 10 : right > 12 ? 4 : 2;
  for (let nats = 0; nats <= right; nats += step) {
    const tick = make("span", "", String(nats));
    tick.style.left = `${(100 * nats) / right}%`;
    made.append(tick);
  }
  return made;
}
