// One image on a canvas: zoom, pan, window and level on its 8 bits or on the values of its file, invert. It knows nothing of
// tasks.

const ZOOM_STEP = 1.25;
const MOST_ZOOM = 32; // screen pixels for one of the image
const PIXELS_FROM = 8; // from this zoom on the pixels are seen as they are
const MOST_PIXELS = 17e6; // of the copy that is worked on; a larger image is made smaller, and the page says so
const WINDOW = 255;
const LEVEL = 127.5;
const STEP = 8;
const OCTAVE = 4; // steps that make a window twice as wide
const PAN_STEP = 60;

export class Viewer {
  mode = "pan"; // what dragging with the main button does; or "window"

  constructor(canvas, onChange) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
    this.onChange = onChange;
    this.size = null;
    new ResizeObserver(() => this.#fitCanvas()).observe(canvas);
    this.#listen();
  }

  show(bitmap) {
    this.shrunk = Math.min(1, Math.sqrt(MOST_PIXELS / (bitmap.width * bitmap.height)));
    this.size = { width: bitmap.width, height: bitmap.height };
    this.copy = new OffscreenCanvas(Math.round(bitmap.width * this.shrunk), Math.round(bitmap.height * this.shrunk));
    this.copyContext = this.copy.getContext("2d", { willReadFrequently: true });
    this.copyContext.drawImage(bitmap, 0, 0, this.copy.width, this.copy.height);
    this.stored = this.copyContext.getImageData(0, 0, this.copy.width, this.copy.height);
    this.changed = new ImageData(this.copy.width, this.copy.height);
    this.depth = null;
    this.reset();
  }

  // From now on window and level are values of the file. What is seen stays as it is, also what was changed meanwhile.
  deepen(depth) {
    if (!this.size || depth.width !== this.size.width || depth.height !== this.size.height) return false;
    const [stored] = depth.presets;
    const isStored = this.window === WINDOW && this.level === LEVEL;
    const above = ((depth.isInverted ? -1 : 1) * (this.level - LEVEL)) / WINDOW;
    const same = depth.within((this.window / WINDOW) * stored.window, stored.level + above * stored.window);
    this.depth = depth;
    this.#setWindow(isStored ? stored : same);
    return true;
  }

  clear() {
    this.size = null;
    this.#draw();
  }

  reset() {
    this.isInverted = false;
    this.fit();
    this.#setWindow(this.depth ? this.depth.presets[0] : { window: WINDOW, level: LEVEL });
  }

  fit() {
    if (!this.size) return;
    this.isFit = true;
    this.zoom = Math.min(this.canvas.width / this.size.width, this.canvas.height / this.size.height);
    this.centre = { x: this.size.width / 2, y: this.size.height / 2 }; // of the image, at the middle of the canvas
    this.#draw();
  }

  zoomBy(steps, x = this.canvas.width / 2, y = this.canvas.height / 2) {
    if (!this.size) return;
    const least = Math.min(1, this.canvas.width / this.size.width, this.canvas.height / this.size.height) / 4;
    const zoom = Math.min(Math.max(this.zoom * ZOOM_STEP ** steps, least), MOST_ZOOM);
    const [right, down] = [x - this.canvas.width / 2, y - this.canvas.height / 2];
    this.centre.x += right / this.zoom - right / zoom; // what is under the pointer stays there
    this.centre.y += down / this.zoom - down / zoom;
    Object.assign(this, { zoom, isFit: false });
    this.#draw();
  }

  // In steps: a positive one shows what lies to the right, below.
  pan(right, down) {
    this.#move(-right * PAN_STEP, -down * PAN_STEP);
  }

  // In steps of 8 of 256 values: a wider window, a higher level. Of values of the file a step is a share of the window.
  windowBy(wider, higher) {
    const { window, level, depth } = this;
    if (depth) return this.#setWindow(depth.within(window * 2 ** (wider / OCTAVE), level + (higher * window * STEP) / WINDOW));
    this.#setWindow({
      window: Math.min(Math.max(window + wider * STEP, 1), 2 * WINDOW),
      level: Math.min(Math.max(level + higher * STEP, -WINDOW / 2), 1.5 * WINDOW),
    });
  }

  // The next of the windows that make sense for the values of the file.
  nextPreset() {
    if (!this.depth) return;
    const { presets } = this.depth;
    this.#setWindow(presets[(presets.indexOf(this.preset) + 1) % presets.length]);
  }

  #setWindow(preset) {
    Object.assign(this, { window: preset.window, level: preset.level, preset: preset.name ? preset : null });
    this.#changeValues();
  }

  invert() {
    this.isInverted = !this.isInverted;
    this.#changeValues();
  }

  #move(right, down) {
    if (!this.size) return;
    this.centre.x = Math.min(Math.max(this.centre.x - right / this.zoom, 0), this.size.width);
    this.centre.y = Math.min(Math.max(this.centre.y - down / this.zoom, 0), this.size.height);
    this.isFit = false;
    this.#draw();
  }

  #changeValues() {
    if (!this.size || this.isWaiting) return;
    this.isWaiting = true; // once a frame is enough
    requestAnimationFrame(() => {
      this.isWaiting = false;
      if (!this.size) return;
      const { depth, preset, window, level, isInverted } = this;
      if (!depth) this.#paint(window, level);
      else if (preset?.isStored) this.#paint(WINDOW, LEVEL);
      else depth.paint(new Uint32Array(this.changed.data.buffer), window, level, isInverted);
      this.copyContext.putImageData(this.changed, 0, 0);
      this.#draw();
    });
  }

  // The picture of 8 bits through a window.
  #paint(window, level) {
    const low = level - window / 2;
    const shown = Uint8ClampedArray.from({ length: 256 }, (_, value) => {
      const share = ((value - low) / window) * 255;
      return this.isInverted ? 255 - Math.min(Math.max(share, 0), 255) : share;
    });
    const { stored: { data }, changed: { data: changed } } = this;
    for (let at = 0; at < data.length; at += 4) {
      changed[at] = shown[data[at]];
      changed[at + 1] = shown[data[at + 1]];
      changed[at + 2] = shown[data[at + 2]];
      changed[at + 3] = data[at + 3];
    }
  }

  #draw() {
    const { context, canvas } = this;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, canvas.width, canvas.height);
    if (this.size) {
      const { zoom, centre, size } = this;
      context.imageSmoothingEnabled = zoom < PIXELS_FROM;
      context.imageSmoothingQuality = "high";
      const [left, top] = [canvas.width / 2 - centre.x * zoom, canvas.height / 2 - centre.y * zoom];
      context.drawImage(this.copy, left, top, size.width * zoom, size.height * zoom);
    }
    this.onChange(this);
  }

  #fitCanvas() {
    const density = devicePixelRatio || 1;
    this.canvas.width = Math.max(1, Math.round(this.canvas.clientWidth * density));
    this.canvas.height = Math.max(1, Math.round(this.canvas.clientHeight * density));
    if (this.isFit) this.fit();
    else this.#draw();
  }

  #listen() {
    const { canvas } = this;
    canvas.addEventListener("contextmenu", (event) => event.preventDefault());
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      const density = devicePixelRatio || 1;
      this.zoomBy(-event.deltaY / 120, event.offsetX * density, event.offsetY * density);
    }, { passive: false });
    canvas.addEventListener("pointerdown", (event) => canvas.setPointerCapture(event.pointerId));
    canvas.addEventListener("pointermove", (event) => {
      const isWindow = event.buttons === 2 || (event.buttons === 1 && this.mode === "window");
      const density = devicePixelRatio || 1;
      if (isWindow) this.windowBy(event.movementX / 2 / STEP, event.movementY / 2 / STEP);
      else if (event.buttons) this.#move(event.movementX * density, event.movementY * density);
    });
  }
}
