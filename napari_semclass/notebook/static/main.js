// Puts the parts together for one view, and follows the traits.

const HELP =
  "Micrograph. Arrow keys go from tile to tile, Shift with arrows moves the view, plus and minus zoom, F shows all. " +
  "1 to 9 mark the tile, 0 or Backspace clears it, Control Z takes back. N asks about a tile, A accepts, Escape ends.";
const MOST_NAMED = 4;

function placeWords({ answer, probabilities }, box, mark) {
  const where = box ? `Tile at x ${box.x0}, y ${box.y0}` : "";
  const rest = probabilities ? probabilities.slice(0, MOST_NAMED).map((pair) => pair.join(" ")).join(", ") : "";
  const said = answer ? `${answer} (${rest})` : "not classified";
  return `${where}: ${said}${mark ? `; marked ${mark}` : ""}`;
}

function renderView(model, tiles, el) {
  const canvas = make("canvas", { tabindex: 0, role: "application", "aria-label": HELP });
  const stage = new Stage(model, tiles, canvas);
  let asked = null;
  let timer = 0;
  const announce = (box, spoken) => {
    clearTimeout(timer);
    asked = box && { box, spoken };
    if (!box) panel.showPlace("", false);
    // A mouse passes over many tiles: only where it rests is looked up.
    else timer = setTimeout(() => model.send({ kind: "look", y: (box.y0 + box.y1) / 2, x: (box.x0 + box.x1) / 2 }), spoken ? 0 : 40);
  };
  const marking = new Marking(model, stage, announce);
  const panel = new Panel(model, stage, marking, canvas);
  marking.listen(canvas);
  const hear = (message) => {
    if (message.kind !== "place" || !asked) return;
    const { box, spoken } = asked;
    const inside = box.y0 <= message.y && message.y < box.y1 && box.x0 <= message.x && message.x < box.x1;
    const mark = model.get("annotations").find((row) => sameBox(row, box));
    if (inside) panel.showPlace(placeWords(message, box, mark?.category), spoken);
  };
  model.on("msg:custom", hear);
  const setHeight = () => {
    canvas.style.height = `${model.get("height")}px`;
  };
  const suggested = () => {
    const box = model.get("_suggestion");
    if (box.category) stage.show(box, true);
    stage.redraw();
  };
  const all = () => [panel.showAbout(), panel.showTools(), panel.showLegend(), panel.showTraining(), panel.showState()];
  const follow = [
    ["change:_overlay", () => (stage.readOverlay(), stage.redraw(), asked && announce(asked.box, false))],
    ["change:annotations change:opacity change:hidden change:_grid", stage.redraw],
    ["change:_legend change:hidden", () => panel.showLegend()],
    ["change:categories change:_counts", () => panel.showTools()],
    ["change:_training change:_counts", () => panel.showTraining()],
    ["change:_about", () => panel.showAbout()],
    ["change:_suggestion", suggested],
    ["change:height", setHeight],
    ["change:_status change:_work change:_counts change:_learned change:_training change:opacity change:live change:summary change:categories", () => panel.showState()],
  ].flatMap(([events, act]) => events.split(" ").map((event) => [event, act]));
  for (const [event, act] of follow) model.on(event, act);
  setHeight();
  all();
  el.append(panel.root);
  suggested();
  return () => {
    clearTimeout(timer);
    stage.close();
    model.off("msg:custom", hear);
    for (const [event, act] of follow) model.off(event, act);
  };
}

export default () => {
  let tiles = null;
  return {
    initialize({ model }) {
      tiles = new Tiles(model);
    },
    render({ model, el }) {
      return renderView(model, tiles, el);
    },
  };
};
