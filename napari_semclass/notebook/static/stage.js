// The canvas: where the view is, and everything that is drawn on it.

const MOST_ZOOM = 32; // CSS pixels per pixel
const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

function rgba(color, alpha) {
  const number = parseInt(color.slice(1), 16);
  const [red, green, blue] = [number >> 16, (number >> 8) & 255, number & 255];
  return ((Math.round(255 * alpha) << 24) | (blue << 16) | (green << 8) | red) >>> 0;
}

// Index of the interval between sorted edges that holds each of `count` evenly spaced positions; -1 outside.
function intervals(edges, start, step, count) {
  const found = new Int32Array(count);
  let index = -1;
  for (let i = 0; i < count; i++) {
    const position = start + (i + 0.5) * step;
    while (index + 1 < edges.length && edges[index + 1] <= position) index++;
    found[i] = index < edges.length - 1 ? index : -1;
  }
  return found;
}

class Stage {
  constructor(model, tiles, canvas) {
    Object.assign(this, { model, tiles, canvas, scale: 0, left: 0, top: 0, cursor: null, moved: false, waiting: 0 });
    this.marks = () => [];
    this.tint = make("canvas");
    this.readOverlay();
    this.redraw = () => {
      if (!this.waiting) this.waiting = requestAnimationFrame(() => this.draw());
    };
    tiles.onArrival.add(this.redraw);
    this.observer = new ResizeObserver(() => this.resize());
    this.observer.observe(canvas);
  }

  close() {
    this.observer.disconnect();
    cancelAnimationFrame(this.waiting);
    this.tiles.onArrival.delete(this.redraw);
    this.tiles.forget(this);
  }

  get picture() {
    return this.model.get("_picture");
  }

  resize() {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    if (!width || !height) return;
    this.ratio = window.devicePixelRatio || 1;
    this.canvas.width = Math.round(width * this.ratio);
    this.canvas.height = Math.round(height * this.ratio);
    if (!this.moved) this.fit();
    this.redraw();
  }

  // -- where the view is -------------------------------------------------------------------------------------------

  fit() {
    this.moved = false;
    const { width, height } = this.picture;
    this.scale = Math.min(this.canvas.clientWidth / width, this.canvas.clientHeight / height);
    this.left = (width - this.canvas.clientWidth / this.scale) / 2;
    this.top = (height - this.canvas.clientHeight / this.scale) / 2;
    this.redraw();
  }

  toImage(x, y) {
    return { x: this.left + x / this.scale, y: this.top + y / this.scale };
  }

  panBy(x, y) {
    this.moved = true;
    const { width, height } = this.picture;
    const wide = this.canvas.clientWidth / this.scale;
    const high = this.canvas.clientHeight / this.scale;
    this.left = clamp(this.left - x / this.scale, -0.9 * wide, width - 0.1 * wide);
    this.top = clamp(this.top - y / this.scale, -0.9 * high, height - 0.1 * high);
    this.redraw();
  }

  zoomBy(factor, x = this.canvas.clientWidth / 2, y = this.canvas.clientHeight / 2) {
    this.moved = true;
    const { width, height } = this.picture;
    const whole = Math.min(this.canvas.clientWidth / width, this.canvas.clientHeight / height);
    const fixed = this.toImage(x, y);
    this.scale = clamp(this.scale * factor, Math.min(whole, 1) / 2, MOST_ZOOM);
    this.left = fixed.x - x / this.scale;
    this.top = fixed.y - y / this.scale;
    this.redraw();
  }

  // Bring a box into view; if `near`, large enough to be judged.
  show({ y0, x0, y1, x1 }, near = false) {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    if (near) this.scale = clamp(Math.min(width, height) / (3 * Math.max(y1 - y0, x1 - x0)), 1e-6, MOST_ZOOM);
    const inside =
      x0 >= this.left && y0 >= this.top && x1 <= this.left + width / this.scale && y1 <= this.top + height / this.scale;
    if (near || !inside) {
      this.moved = true;
      this.left = (x0 + x1 - width / this.scale) / 2;
      this.top = (y0 + y1 - height / this.scale) / 2;
    }
    this.redraw();
  }

  // -- drawing -----------------------------------------------------------------------------------------------------

  readOverlay() {
    const overlay = this.model.get("_overlay");
    this.labels = null;
    if (overlay.labels) {
      const { buffer, byteOffset, byteLength } = overlay.labels;
      this.labels = new Uint16Array(buffer.slice(byteOffset, byteOffset + byteLength));
    }
  }

  draw() {
    this.waiting = 0;
    if (!this.scale || !this.canvas.width) return;
    const context = this.canvas.getContext("2d");
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, this.canvas.width, this.canvas.height);
    const zoom = this.scale * this.ratio;
    context.setTransform(zoom, 0, 0, zoom, -this.left * zoom, -this.top * zoom);
    context.imageSmoothingEnabled = zoom < 3;
    this.drawTiles(context, zoom);
    this.drawTint(context);
    context.setTransform(zoom, 0, 0, zoom, -this.left * zoom, -this.top * zoom);
    for (const mark of this.marks()) this.drawBox(context, mark, mark.color, 2.5, mark.text);
    if (this.cursor) this.drawBox(context, this.cursor, "#ffffff", 1.5, "", true);
    const asked = this.model.get("_suggestion");
    if (asked.category) this.drawBox(context, asked, "#ffffff", 5);
  }

  drawTiles(context, zoom) {
    const { width, height, depth, side } = this.picture;
    const level = clamp(Math.floor(Math.log2(1 / zoom)), 0, depth - 1);
    const span = side * 2 ** level;
    const right = Math.min(width, this.left + this.canvas.width / zoom);
    const bottom = Math.min(height, this.top + this.canvas.height / zoom);
    const wanted = [];
    for (let row = Math.max(0, Math.floor(this.top / span)); row * span < bottom; row++) {
      for (let column = Math.max(0, Math.floor(this.left / span)); column * span < right; column++) {
        wanted.push([level, row, column]);
        this.drawTile(context, [level, row, column]);
      }
    }
    const middle = [(this.top + bottom) / 2 / span - 0.5, (this.left + right) / 2 / span - 0.5];
    const far = ([, row, column]) => Math.hypot(row - middle[0], column - middle[1]);
    wanted.sort((one, other) => far(one) - far(other));
    this.tiles.want(this, wanted);
  }

  // A tile, or until it is there the part of a coarser one that covers it.
  drawTile(context, [level, row, column]) {
    const { width, height, depth, side } = this.picture;
    const span = side * 2 ** level;
    for (let up = 0; level + up < depth; up++) {
      const tile = this.tiles.get([level + up, row >> up, column >> up]);
      if (!tile) continue;
      const part = side / 2 ** up;
      const [x, y] = [(column % 2 ** up) * part, (row % 2 ** up) * part];
      const [wide, high] = [Math.min(part, tile.width - x), Math.min(part, tile.height - y)];
      const size = [
        Math.min((wide / part) * span, width - column * span),
        Math.min((high / part) * span, height - row * span),
      ];
      if (wide > 0 && high > 0) context.drawImage(tile, x, y, wide, high, column * span, row * span, ...size);
      return;
    }
  }

  drawTint(context) {
    const overlay = this.model.get("_overlay");
    const opacity = this.model.get("opacity");
    if (!this.labels || !opacity) return;
    const { width, height } = this.canvas;
    const step = 1 / (this.scale * this.ratio);
    const hidden = new Set(this.model.get("hidden"));
    const colors = overlay.names.map((name, label) =>
      label === 0 || hidden.has(name) ? 0 : rgba(overlay.colors[label], opacity),
    );
    const columns = intervals(overlay.x, this.left, step, width);
    const rows = intervals(overlay.y, this.top, step, height);
    const across = overlay.x.length - 1;
    const pixels = new Uint32Array(width * height);
    for (let y = 0; y < height; y++) {
      if (rows[y] < 0) continue;
      const first = rows[y] * across;
      for (let x = 0; x < width; x++) {
        if (columns[x] >= 0) pixels[y * width + x] = colors[this.labels[first + columns[x]]];
      }
    }
    Object.assign(this.tint, { width, height });
    this.tint.getContext("2d").putImageData(new ImageData(new Uint8ClampedArray(pixels.buffer), width, height), 0, 0);
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.drawImage(this.tint, 0, 0);
  }

  // An outline of so many CSS pixels with a dark border, which is seen on black and on white.
  drawBox(context, { y0, x0, y1, x1 }, color, thickness, text = "", dashed = false) {
    const pixel = 1 / this.scale;
    const inset = (thickness / 2 + 1) * pixel;
    const box = [x0 + inset, y0 + inset, Math.max(x1 - x0 - 2 * inset, pixel), Math.max(y1 - y0 - 2 * inset, pixel)];
    context.setLineDash([]);
    context.strokeStyle = "rgba(0, 0, 0, 0.75)";
    context.lineWidth = (thickness + 2) * pixel;
    context.strokeRect(...box);
    if (dashed) context.setLineDash([6 * pixel, 4 * pixel]);
    context.strokeStyle = color;
    context.lineWidth = thickness * pixel;
    context.strokeRect(...box);
    if (text && (x1 - x0) * this.scale > 22) {
      context.font = `bold ${13 * pixel}px sans-serif`;
      context.lineWidth = 3 * pixel;
      context.setLineDash([]);
      context.strokeStyle = "rgba(0, 0, 0, 0.85)";
      context.fillStyle = "#ffffff";
      context.strokeText(text, x0 + 7 * pixel, y0 + 18 * pixel);
      context.fillText(text, x0 + 7 * pixel, y0 + 18 * pixel);
    }
  }
}
