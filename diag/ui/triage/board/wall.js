// The wall: filters, groups, sorts and draws the rows, and answers to the keyboard. The view is in the address.

const FIRST = 60;
const COLUMNS = [["", null], ["Checkpoint", "name"], ["In the file", "look"], ["Data", "data"], ["Loss (nats)", "loss"],
  ["Verdict", "verdict"], ["Reference", "reference"], ["Decision", "decision"], ["Last run", "last"], ["Next", null]];
const GROUPS = [["", "no groups"], ["cause", "by cause"], ["family", "by family"], ["folder", "by folder"], ["verdict", "by verdict"]];
const TONES = [["", "all"], ["broken", "broken"], ["explained", "explained"], ["suspect", "suspect"], ["data", "bad data"], ["claim", "wrong claim"], ["neutral", "nothing found"], ["healthy", "healthy"], ["not_run", "not run"], ["new", "new"], ["open", "to decide"]];

// What a row that has nothing of it is sent without.
const EMPTY = { copies: [], here: false, shapes: "", kind: "", data: null, shard: "", loss: "", lossNats: null, repaired: "", cause: "", reference: "",
  referenceText: "", referenceId: "", fits: [], decision: "", decided: "", note: "", owner: "", last: "", created: 0, records: "", history: [], isNew: false, isOpen: false,
  tested: false, runnable: false, text: "", todo: [], lookText: "", zones: [], marks: [], order: 0 };

function whole(row) {
  const made = { ...EMPTY, ...row };
  made.search = [row.name, row.folder, ...made.copies, made.kind, made.cause, made.verdict[2], made.owner, made.note, made.decision, made.lookText].join(" ").toLowerCase();
  return made;
}

class Wall {
  constructor(root, component) {
    this.root = make("section", "sw-wall");
    this.root.setAttribute("aria-label", "The wall");
    root.append(this.root);
    this.component = component;
    this.data = component.data;
    const first = window.subrandomFirst;  // the page as it was served, whose place this takes
    this.view = { q: "", tone: "", family: "", group: "", sort: "", pin: [], ...component.data.view, ...first?.wall?.view };
    this.drawn = new Map();
    this.selected = new Set();
    this.visible = [];
    this.current = first?.wall?.current ?? null;
    this.keys = (event) => this.key(event);
    document.addEventListener("keydown", this.keys, true);
    this.frame();
    this.update(component);
    if (!first?.wall) return;
    if (first.wall.asked) this.set("q", this.view.q);
    const typing = document.activeElement === first.wall.search;
    first.giveWay();
    if (typing) this.search.focus();
  }

  close() {
    document.removeEventListener("keydown", this.keys, true);
    this.root.remove();
  }

  frame() {
    this.search = make("input", "sw-search");
    this.search.type = "search";
    this.search.placeholder = "Search (/)";
    this.search.setAttribute("aria-label", "Search the wall");
    this.search.value = this.view.q;
    this.search.addEventListener("input", () => this.set("q", this.search.value));
    this.tones = make("div", "sw-tones");
    this.family = make("select");
    this.family.setAttribute("aria-label", "Family");
    this.family.addEventListener("change", () => this.set("family", this.family.value));
    this.group = choice(GROUPS, this.view.group);
    this.group.setAttribute("aria-label", "Group");
    this.group.addEventListener("change", () => this.set("group", this.group.value));
    const bar = make("div", "sw-bar");
    bar.append(this.search, this.family, this.group, button("Present (f)", "", () => this.present(this.current)), button("? Keys", "", () => helpDialog(this)));
    this.chosen = make("div", "sw-bar sw-chosen");
    this.status = make("p", "sw-small");
    this.status.setAttribute("role", "status");
    this.table = make("table", "sw-table");
    this.head = make("thead");
    this.all = make("input");
    this.all.type = "checkbox";
    this.all.setAttribute("aria-label", "Select all that are shown");
    this.all.addEventListener("change", () => this.selectAll(this.all.checked));
    this.table.append(this.head);
    const scroll = make("div", "sw-scroll");
    scroll.tabIndex = 0;
    scroll.setAttribute("role", "region");
    scroll.setAttribute("aria-label", "Cases");
    scroll.append(this.table);
    this.root.append(bar, this.tones, this.chosen, this.status, scroll);
  }

  update(component) {
    this.component = component;
    this.data = { ...component.data, rows: component.data.rows.map(whole) };
    this.root.classList.toggle("sw-dark", Boolean(this.data.dark));
    this.byId = new Map(this.data.rows.map((row) => [row.id, row]));
    this.selected = new Set([...this.selected].filter((id) => this.byId.has(id)));
    const families = [...new Set(this.data.rows.map((row) => row.family))].sort();
    if (families.join() !== this.families) {
      this.families = families.join();
      this.family.replaceChildren(...choice([["", "every family"], ...families.map((name) => [name, name])], "").children);
      this.family.value = this.view.family;
    }
    this.draw();
    // A link to a presentation waits for its row, which may come with the rest.
    if (!this.presentation && this.view.present && this.byId.has(this.view.present)) this.present(this.view.present);
  }

  row(id) { return this.byId.get(id); }

  set(name, value) {
    this.view = { ...this.view, [name]: value };
    this.asked = true;
    this.draw();
    clearTimeout(this.later);
    this.later = setTimeout(() => this.component.setStateValue("view", this.view), 350);
  }

  send(what) { this.component.setTriggerValue("act", { ...what, at: Date.now() }); }

  passes(row) {
    const { q, tone, family } = this.view;
    if (family && row.family !== family) return false;
    const stands = { new: row.isNew, open: row.isOpen, broken: row.state === "broken" || row.state === "explained" };  // explained is broken too
    if (tone && !(stands[tone] ?? row.state === tone)) return false;
    return q.toLowerCase().split(/\s+/).every((word) => row.search.includes(word));
  }

  sorted() {
    const rows = this.data.rows.filter((row) => this.passes(row));
    const [name, down] = [this.view.sort.replace(/^-/, ""), this.view.sort.startsWith("-") ? -1 : 1];
    if (name) {
      const of = (row) => ({ loss: row.lossNats ?? Infinity, verdict: row.order, last: -row.created, name: row.name, look: row.look[2], data: row.data ? row.data[2] : "", family: row.family, reference: row.reference, decision: row.decision })[name];
      rows.sort((a, b) => down * (typeof of(a) === "number" ? of(a) - of(b) : String(of(a)).localeCompare(String(of(b)), undefined, { numeric: true })));
    }
    const pins = new Set(this.view.pin);
    return [...rows.filter((row) => pins.has(row.id)), ...rows.filter((row) => !pins.has(row.id))];
  }

  groups(rows) {
    const by = this.view.group;
    if (!by) return [["", rows]];
    const of = { cause: (row) => row.cause || row.verdict[2], family: (row) => row.family, folder: (row) => row.folder, verdict: (row) => row.verdict[2] }[by];
    const found = new Map();
    for (const row of rows) found.set(of(row), [...(found.get(of(row)) || []), row]);
    const last = (inside) => by === "cause" && !inside[0].cause;  // what has no cause is no answer to the question
    return [...found].sort((a, b) => last(a[1]) - last(b[1]) || b[1].length - a[1].length).map(([label, inside]) => [`${inside.length} case${inside.length === 1 ? "" : "s"}: ${label}`, inside]);
  }

  draw() {
    const run = (this.run = Symbol());
    const rows = this.sorted(), groups = this.groups(rows);
    this.visible = groups.flatMap(([, inside]) => inside.map((row) => row.id));
    this.drawHead();
    this.drawTones();
    this.drawChosen();
    this.status.textContent = this.data.partial ? "The first rows; the rest is coming." : `${rows.length.toLocaleString("en")} of ${this.data.rows.length.toLocaleString("en")} shown. ${this.data.status}`;
    const bodies = groups.map(([label]) => {
      const body = make("tbody");
      if (label) {
        const head = make("th", "sw-group", label), line = make("tr");
        head.setAttribute("role", "rowheader");
        line.append(head);
        body.append(line);
      }
      return body;
    });
    const line = groups.flatMap(([, inside], at) => inside.map((row) => [bodies[at], row]));
    const add = (from, to) => line.slice(from, to).forEach(([body, row]) => body.append(this.element(row)));
    const held = document.activeElement?.closest?.(".sw-row")?.dataset.id;
    add(0, FIRST);
    this.table.replaceChildren(this.head, ...bodies);
    if (held) this.drawn.get(held)?.element.focus({ preventScroll: true });
    const more = (from) => {
      if (this.run !== run || from >= line.length) return;
      add(from, 3 * from);  // each time the browser lays out the whole table anew
      setTimeout(more, 0, 3 * from);
    };
    setTimeout(more, 0, FIRST);
    this.mark();
  }

  element(row) {
    const text = JSON.stringify(row) + this.data.right + JSON.stringify(this.data.may);
    let known = this.drawn.get(row.id);
    if (!known || known.text !== text) {
      known = { text, element: drawRow(row, this.data.right, this.data.may, this) };
      this.drawn.set(row.id, known);
    }
    this.state(known.element);
    return known.element;
  }

  state(element) {
    const id = element.dataset.id, pinned = this.view.pin.includes(id);
    element.classList.toggle("sw-selected", this.selected.has(id));
    element.classList.toggle("sw-current", this.current === id);
    element.tabIndex = id === (this.current || this.visible[0]) ? 0 : -1;
    element.querySelector("input").checked = this.selected.has(id);
    const pin = element.querySelector(".sw-pin");
    pin.textContent = pinned ? "★" : "☆";
    pin.setAttribute("aria-pressed", String(pinned));
  }

  mark() { for (const { element } of this.drawn.values()) if (element.isConnected) this.state(element); }

  drawHead() {
    const line = make("tr");
    const chosen = this.visible.filter((id) => this.selected.has(id)).length;
    this.all.checked = chosen > 0 && chosen === this.visible.length;
    this.all.indeterminate = chosen > 0 && chosen < this.visible.length;
    for (const [label, name] of COLUMNS) {
      const head = make(label ? "th" : "td");
      if (label) head.setAttribute("role", "columnheader");
      if (name) {
        const sort = this.view.sort, next = sort === name ? `-${name}` : sort === `-${name}` ? "" : name;
        head.setAttribute("aria-sort", sort === name ? "ascending" : sort === `-${name}` ? "descending" : "none");
        head.append(button(label + (sort === name ? " ↑" : sort === `-${name}` ? " ↓" : ""), "sw-sort", () => this.set("sort", next), `Sort by ${label}`));
      } else head.append(label || this.all);
      if (name === "loss") head.append(axis(this.data.right));
      line.append(head);
    }
    this.head.replaceChildren(line);
  }

  drawTones() {
    const kept = this.view;
    this.tones.replaceChildren(...TONES.map(([tone, label]) => {
      this.view = { ...kept, tone };
      const count = this.data.rows.filter((row) => this.passes(row)).length;
      const made = button(this.data.partial ? label : `${label} ${count.toLocaleString("en")}`, `sw-tone ${kept.tone === tone ? "sw-on" : ""}`, () => this.set("tone", tone));
      made.setAttribute("aria-pressed", String(kept.tone === tone));
      return tone && !count ? null : made;
    }).filter(Boolean));
    this.view = kept;
  }

  drawChosen() {
    const ids = [...this.selected];
    const missing = ids.filter((id) => !this.row(id).tested && this.row(id).runnable);
    const made = ids.length ? [make("span", "", `${ids.length} selected`),
      button(`Test what is missing (${missing.length})`, "", () => this.send({ kind: "test", ids: missing })),
      button("Compare", "", () => compareDialog(this, ids)), button("Decide", "", () => decideDialog(this, ids)),
      button("Clear", "", () => { this.selected.clear(); this.draw(); })] : [];
    if (made.length) {
      made[1].disabled = !missing.length || !this.data.may.test;
      made[2].disabled = ids.length < 2;
      made[3].disabled = !this.data.may.decide;
    }
    this.chosen.replaceChildren(...made);
  }

  select(id, on) {
    this.selected[on ? "add" : "delete"](id);
    this.drawChosen();
    this.drawHead();
    this.mark();
  }

  selectAll(on) {
    for (const id of this.visible) this.selected[on ? "add" : "delete"](id);
    this.draw();
  }

  pin(id) { this.set("pin", this.view.pin.includes(id) ? this.view.pin.filter((one) => one !== id) : [...this.view.pin, id]); }
  open(id) { this.send({ kind: "open", ids: [id] }); }
  look(id) { this.send({ kind: "look", ids: [id] }); }
  test(id) { if (this.data.may.test) this.send({ kind: "test", ids: [id] }); }
  refer(id) { referenceDialog(this, id); }
  decide(id) { if (this.data.may.decide) decideDialog(this, [id]); }
  present(id) { this.presentation = new Presentation(this, this.byId.has(id) ? id : null); }

  presented(id) {
    if (id === null) this.presentation = null;
    else this.current = id;
    this.set("present", id || "");
  }

  move(by) {
    const at = this.visible.indexOf(this.current);
    this.current = this.visible[at < 0 ? 0 : Math.min(Math.max(at + by, 0), this.visible.length - 1)];
    this.mark();
    const element = this.drawn.get(this.current)?.element;
    element?.focus({ preventScroll: true });
    element?.scrollIntoView({ block: "nearest" });
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || !this.root.isConnected) return;
    const inside = event.target.closest?.("input:not([type=checkbox]), textarea, select, [contenteditable], .sw-dialog");
    if (inside) {
      if (event.key === "Escape" && event.target === this.search) this.root.querySelector(".sw-row")?.focus();
      return;
    }
    const many = this.selected.size ? [...this.selected] : null, one = this.current || this.visible[0];
    const keys = {
      j: () => this.presentation ? this.presentation.step(1) : this.move(1), k: () => this.presentation ? this.presentation.step(-1) : this.move(-1),
      ArrowRight: this.presentation && (() => this.presentation.step(1)), ArrowLeft: this.presentation && (() => this.presentation.step(-1)),
      d: () => this.data.may.decide && decideDialog(this, this.presentation ? [this.presentation.id] : many || [one]),
      f: !this.presentation && (() => this.present(this.current)), "?": () => helpDialog(this),
      ...(this.presentation ? {} : {
        t: () => this.data.may.test && this.send({ kind: "test", ids: many || [one] }), r: () => referenceDialog(this, one),
        x: () => this.select(one, !this.selected.has(one)), a: () => this.selectAll(!this.selected.size), p: () => this.pin(one), "/": () => this.search.focus(),
        Enter: event.target.matches?.(".sw-row, body") && (() => this.open(one)),
      }),
    };
    if (!keys[event.key] || (!one && !["/", "?"].includes(event.key))) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    keys[event.key]();
  }
}
