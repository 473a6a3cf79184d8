// Marks by mouse and keys: which tile is meant, what it is marked with, and how that is taken back.

const MOST_UNDO = 200;
const MOVE = "move";
const CLEAR = "clear";

// Index of the extent that holds a position, of several the one with the nearest middle; -1 where none does.
function nearest(extents, position) {
  let found = -1;
  let least = Infinity;
  extents.forEach(([start, stop], index) => {
    const far = Math.abs(position - (start + stop) / 2);
    if (start <= position && position < stop && far < least) [found, least] = [index, far];
  });
  return found;
}

const sameBox = (one, other) =>
  one.y0 === other.y0 && one.x0 === other.x0 && one.y1 === other.y1 && one.x1 === other.x1;

class Marking {
  constructor(model, stage, announce) {
    Object.assign(this, { model, stage, announce, tool: MOVE, past: [], future: [], place: null });
    this.onTool = () => {};
    stage.marks = () => this.drawn();
  }

  get categories() {
    return this.model.get("categories");
  }

  drawn() {
    const held = new Map(this.categories.map((category) => [category.name, category]));
    return this.model
      .get("annotations")
      .filter((row) => held.has(row.category))
      .map((row) => {
        const { color, key, name } = held.get(row.category);
        return { ...row, color, text: key ? `${key}` : name.slice(0, 2) };
      });
  }

  // -- which tile --------------------------------------------------------------------------------------------------

  boxOf(row, column) {
    const { rows, columns } = this.model.get("_grid");
    const [[y0, y1], [x0, x1]] = [rows[row], columns[column]];
    return { y0, x0, y1, x1 };
  }

  goToPosition(y, x, spoken = false) {
    const { rows, columns } = this.model.get("_grid");
    const [row, column] = [nearest(rows, y), nearest(columns, x)];
    const moved = row < 0 || column < 0 ? null : { row, column };
    if (moved?.row === this.place?.row && moved?.column === this.place?.column) return;
    this.goTo(moved, spoken);
  }

  goTo(place, spoken) {
    this.place = place;
    this.stage.cursor = place && this.boxOf(place.row, place.column);
    this.stage.redraw();
    this.announce(this.stage.cursor, spoken);
  }

  moveBy(down, right) {
    const { rows, columns } = this.model.get("_grid");
    const { row, column } = this.place ?? { row: 0, column: 0 };
    const first = this.place ? 1 : 0;
    const place = {
      row: clamp(row + first * down, 0, rows.length - 1),
      column: clamp(column + first * right, 0, columns.length - 1),
    };
    this.goTo(place, true);
    this.stage.show(this.stage.cursor);
  }

  // -- marks -------------------------------------------------------------------------------------------------------

  choose(tool) {
    this.tool = tool;
    this.onTool();
  }

  remember() {
    this.past = [...this.past, this.model.get("annotations")].slice(-MOST_UNDO);
    this.future = [];
  }

  // Give a tile a category, in place of what was said of it; "" takes that away.
  put(box, category) {
    const rows = this.model.get("annotations");
    const others = rows.filter((row) => !sameBox(row, box));
    if (!category && others.length === rows.length) return;
    const { y0, x0, y1, x1 } = box;
    this.model.set("annotations", category ? [...others, { y0, x0, y1, x1, category }] : others);
    this.stage.redraw();
  }

  // One mark as a step of its own.
  mark(box, category) {
    if (!box) return;
    this.remember();
    this.put(box, category);
    this.commit();
    this.announce(box, true);
  }

  // Tell the notebook; what changed nothing is no step to take back.
  commit() {
    if (this.past.at(-1) === this.model.get("annotations")) this.past.pop();
    else this.model.save_changes();
  }

  undo() {
    this.step(this.past, this.future);
  }

  redo() {
    this.step(this.future, this.past);
  }

  step(from, onto) {
    const names = new Set(this.categories.map((category) => category.name));
    const rows = from.pop();
    if (!rows) return;
    onto.push(this.model.get("annotations"));
    this.model.set("annotations", rows.filter((row) => names.has(row.category)));
    this.model.save_changes();
    this.stage.redraw();
  }

  // What a number key means: of the tile that is asked about, or of the tile at the cursor; then clicks mark with it.
  key(number) {
    const category = this.categories.find((one) => one.key === number);
    if (!category) return false;
    this.choose(category.name);
    this.answer(category.name);
    return true;
  }

  answer(category) {
    const asked = this.model.get("_suggestion");
    this.mark(asked.category ? asked : this.stage.cursor, category);
    if (asked.category) this.model.send({ kind: "suggest" });
  }

  accept() {
    const asked = this.model.get("_suggestion");
    const known = this.categories.some((one) => one.name === asked.category);
    if (known) this.answer(asked.category);
  }

  // -- mouse and keys ----------------------------------------------------------------------------------------------

  listen(canvas) {
    const at = (event) => {
      const box = canvas.getBoundingClientRect();
      return [event.clientX - box.left, event.clientY - box.top];
    };
    let drag = null;
    canvas.addEventListener("pointerdown", (event) => {
      canvas.focus({ preventScroll: true });
      canvas.setPointerCapture(event.pointerId);
      const marks = event.button === 0 && this.tool !== MOVE;
      drag = { marks, last: at(event) };
      if (marks) {
        this.remember();
        this.stroke(...at(event));
      }
      event.preventDefault();
    });
    canvas.addEventListener("pointermove", (event) => {
      const [x, y] = at(event);
      if (drag && !drag.marks) this.stage.panBy(x - drag.last[0], y - drag.last[1]);
      else if (drag) this.strokeFrom(drag.last, [x, y]);
      else this.goToPosition(...this.position(x, y));
      if (drag) drag.last = [x, y];
    });
    const end = () => {
      if (drag?.marks) this.commit();
      drag = null;
    };
    canvas.addEventListener("pointerup", end);
    canvas.addEventListener("pointercancel", end);
    canvas.addEventListener("wheel", (event) => {
      // Without focus the wheel scrolls the page, as everywhere else in a notebook.
      if (document.activeElement !== canvas && !event.ctrlKey) return;
      this.stage.zoomBy(2 ** clamp(-event.deltaY / 300, -1, 1), ...at(event));
      event.preventDefault();
    }, { passive: false });
    canvas.addEventListener("keydown", (event) => {
      if (!this.pressed(event)) return;
      event.preventDefault();
      event.stopPropagation();
    });
  }

  position(x, y) {
    const place = this.stage.toImage(x, y);
    return [place.y, place.x];
  }

  stroke(x, y) {
    this.goToPosition(...this.position(x, y));
    if (this.stage.cursor) this.put(this.stage.cursor, this.tool === CLEAR ? "" : this.tool);
  }

  // A fast hand skips tiles: every one on the way is marked.
  strokeFrom([x0, y0], [x1, y1]) {
    const steps = Math.max(1, Math.ceil(Math.hypot(x1 - x0, y1 - y0) / 4));
    for (let i = 1; i <= steps; i++) this.stroke(x0 + ((x1 - x0) * i) / steps, y0 + ((y1 - y0) * i) / steps);
  }

  // Do what a key means; false leaves it to the page.
  pressed(event) {
    const { key } = event;
    if (event.ctrlKey || event.metaKey) {
      const letter = key.toLowerCase();
      if (letter === "z") event.shiftKey ? this.redo() : this.undo();
      else if (letter === "y") this.redo();
      else return false;
      return true;
    }
    if (event.altKey) return false;
    const arrows = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
    if (key in arrows) {
      const [down, right] = arrows[key];
      if (event.shiftKey) this.stage.panBy(-60 * right, -60 * down);
      else this.moveBy(down, right);
      return true;
    }
    if (key >= "1" && key <= "9") return this.key(Number(key));
    const acts = {
      0: () => this.answer(""),
      Backspace: () => this.answer(""),
      Delete: () => this.answer(""),
      "+": () => this.stage.zoomBy(1.5),
      "=": () => this.stage.zoomBy(1.5),
      "-": () => this.stage.zoomBy(1 / 1.5),
      f: () => this.stage.fit(),
      m: () => this.choose(MOVE),
      n: () => this.model.send({ kind: "suggest" }),
      a: () => this.accept(),
      Escape: () => this.model.send({ kind: "enough" }),
    };
    const act = acts[key.length === 1 ? key.toLowerCase() : key];
    if (!act || (key === "Escape" && !this.model.get("_suggestion").category)) return false;
    act();
    return true;
  }
}
