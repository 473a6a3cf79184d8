// Tiles of the micrograph, asked for when they come into view and kept; shared by all views of one widget.

const MOST_TILES = 1200;

function keyText(key) {
  return key.join("/");
}

class Tiles {
  constructor(model) {
    this.model = model;
    this.kept = new Map();
    this.wants = new Map();
    this.sent = "";
    this.onArrival = new Set();
    this.hear = (message, buffers) => {
      if (message.kind === "tile") this.take(message, buffers[0]);
    };
    model.on("msg:custom", this.hear);
  }

  get(key) {
    return this.kept.get(keyText(key));
  }

  // What a view needs now, most wanted first, in place of what it needed before.
  want(view, keys) {
    this.wants.set(view, keys);
    const missing = new Map();
    for (const list of this.wants.values()) {
      for (const key of list) if (!this.get(key)) missing.set(keyText(key), key);
    }
    const text = [...missing.keys()].join(" ");
    if (text === this.sent) return;
    this.sent = text;
    this.model.send({ kind: "tiles", keys: [...missing.values()] });
  }

  forget(view) {
    this.wants.delete(view);
  }

  take({ key, width, height }, data) {
    const grey = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    const pixels = new Uint32Array(grey.length);
    for (let i = 0; i < grey.length; i++) pixels[i] = 0xff000000 | (grey[i] * 0x010101);
    const canvas = make("canvas", { width, height });
    const image = new ImageData(new Uint8ClampedArray(pixels.buffer), width, height);
    canvas.getContext("2d").putImageData(image, 0, 0);
    this.kept.set(keyText(key), canvas);
    if (this.kept.size > MOST_TILES) this.kept.delete(this.kept.keys().next().value);
    for (const draw of this.onArrival) draw();
  }
}
