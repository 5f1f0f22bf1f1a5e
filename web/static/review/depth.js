// Grey levels of more than 8 bits: what they are worth, which windows of them make sense, and how they become a picture.
// value = low + step * level, in the image's own units.

// Usual windows of CT: name, width and centre in HU.
const OF_CT = [["soft tissue", 400, 40], ["lung", 1500, -600], ["bone", 1800, 400]];
const AIR = [-4096, -500]; // the lowest value of a CT image in HU lies between, wherever the scanner puts what is outside

export class Depth {
  constructor({ levels, width, height, low, step, unit, is_inverted, window_function, window_center, window_width }, modality) {
    Object.assign(this, { width, height, unit, step, low, isInverted: is_inverted, levels });
    this.top = levels.reduce((highest, level) => Math.max(highest, level), 0);
    this.high = low + step * this.top;
    const range = { name: "full range", window: Math.max(this.high - low, step), level: (low + this.high) / 2 };
    const isTable = window_center === undefined || !(window_width > 0);
    const stored = isTable ? range : { window: window_width, level: window_center };
    const told = isTable && window_function === "lut" ? "as stored, by a table of the file" : "as stored";
    const isHounsfield = unit === "HU" || (low >= AIR[0] && low <= AIR[1] && this.high > 0);
    const ofCt = modality === "ct" && isHounsfield ? OF_CT.map(([name, window, level]) => ({ name, window, level })) : [];
    const isWhole = told === "as stored" && stored.window === range.window && stored.level === range.level;
    this.presets = [{ ...stored, name: told, isStored: true }, ...(isWhole ? [] : [range]), ...ofCt];
    this.table = new Uint32Array(this.top + 1);
  }

  // A window and a level as near to what is asked for as makes sense.
  within(window, level) {
    const range = this.high - this.low;
    return {
      window: Math.min(Math.max(window, this.step), Math.max(4 * range, 4 * this.presets[0].window)),
      level: Math.min(Math.max(level, this.low - range), this.high + range),
    };
  }

  // Write a picture: each pixel as a 32-bit number of red, green, blue and opaque, least byte first.
  paint(pixels, window, level, isInverted) {
    const { table, levels, low, step } = this;
    const isFlipped = isInverted !== this.isInverted;
    const first = level - window / 2;
    for (let at = 0; at < table.length; at++) {
      const share = Math.min(Math.max((low + step * at - first) / window, 0), 1);
      table[at] = 0xff000000 + 0x010101 * Math.round(255 * (isFlipped ? 1 - share : share));
    }
    for (let at = 0; at < levels.length; at++) pixels[at] = table[levels[at]];
  }

  // A number of these values, as short as it can be read.
  number(value) {
    return String(this.high - this.low >= 50 ? Math.round(value) : Number(value.toPrecision(3)));
  }
}
