// The curves of a training: loss, and accuracy with macro-F1 on the tiles held out.

const [WIDE, HIGH, ROOM] = [250, 120, 26];
const COLORS = { training: "#e69f00", "held out": "#0072b2", accuracy: "#0072b2", "macro-F1": "#009e73" };

function curve(points, most, total, color) {
  const x = (epoch) => ROOM + (epoch / Math.max(total, 1)) * (WIDE - ROOM - 8);
  const y = (value) => HIGH - ROOM - (value / most) * (HIGH - ROOM - 10);
  const shown = points.filter(([, value]) => value != null && Number.isFinite(value));
  const line = makeSvg("polyline", {
    points: shown.map(([epoch, value]) => `${x(epoch)},${y(value)}`).join(" "),
    fill: "none",
    stroke: color,
    "stroke-width": 2,
  });
  const dots = shown.length > 30 ? [] : shown.map(([epoch, value]) => makeSvg("circle", { cx: x(epoch), cy: y(value), r: 2.5, fill: color }));
  return [line, ...dots];
}

function plot(title, curves, most, total) {
  const last = curves
    .map(([name, points]) => [name, points.filter(([, value]) => value != null).at(-1)?.[1]])
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name} ${value.toFixed(3)}`);
  const label = `${title}: ${last.join(", ") || "nothing yet"}`;
  const text = { "font-size": 11, fill: "currentColor" };
  const svg = makeSvg(
    "svg",
    { viewBox: `0 0 ${WIDE} ${HIGH}`, role: "img", "aria-label": label, class: "sc-curve" },
    makeSvg("path", { d: `M${ROOM},8 V${HIGH - ROOM} H${WIDE - 8}`, fill: "none", stroke: "currentColor" }),
    makeSvg("text", { x: 2, y: 14, ...text }, most.toFixed(1)),
    makeSvg("text", { x: 14, y: HIGH - ROOM, ...text }, "0"),
    makeSvg("text", { x: WIDE - 8, y: HIGH - 10, "text-anchor": "end", ...text }, `epoch ${total}`),
    ...curves.flatMap(([name, points]) => curve(points, most, total, COLORS[name])),
  );
  const key = curves.flatMap(([name]) => [swatch(COLORS[name]), `${name} `]);
  return make("figure", { class: "sc-plot" }, make("figcaption", {}, `${title}: `, ...key), svg);
}

function curves({ points, epochs, total }) {
  const column = (index) => epochs.map((row) => [row[0], row[index]]);
  const losses = [...points.map(([, loss]) => loss), ...epochs.map((row) => row[2] ?? 0)];
  return [
    plot("Loss", [["training", points], ["held out", column(2)]], Math.max(0.1, ...losses), total),
    plot("On tiles held out", [["accuracy", column(3)], ["macro-F1", column(4)]], 1, total),
  ];
}
