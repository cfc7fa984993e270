// A chart of rates over time: what came in above the zero line, what went out below it, on one scale.

import { clock, rate, rateOf } from "./units.js";

const MARGIN = { left: 76, right: 14, top: 12, bottom: 26 };
const STEPS_S = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 604800];
const DAY_S = 86400;

/** The smallest of 1, 2, 2.5, 5 × 10^n that is not below `rough`. */
function niceStep(rough) {
  const power = 10 ** Math.floor(Math.log10(rough));
  return [1, 2, 2.5, 5, 10].find((factor) => factor * power >= rough * 0.999) * power;
}

/** A round number needs no zeros behind its point. */
const tidy = (text) => text.replace(/\.0+ /, " ").replace(/(\.[0-9]*[1-9])0+ /, "$1 ");

export class Chart {
  #data = { times: [], lines: [], by: "bytes", from: 0, to: 1 };
  #at = null; // the index of the time that is read out

  constructor(canvas, tip, reader) {
    this.canvas = canvas;
    this.tip = tip;
    this.reader = reader;
    this.context = canvas.getContext("2d");
    new ResizeObserver(() => this.#paint()).observe(canvas);
    addEventListener("resize", () => this.#paint()); // zoomed, or moved to another screen
    canvas.addEventListener("pointermove", (event) => this.#point(event));
    canvas.addEventListener("pointerdown", (event) => this.#point(event));
    canvas.addEventListener("pointerleave", () => this.#read(null));
    canvas.addEventListener("blur", () => this.#read(null));
    canvas.addEventListener("keydown", (event) => this.#key(event));
  }

  /** data: {times, lines: [{label, color, in, out}], by, from, to}; a value is a pair [packets, bytes] or null. */
  show(data) {
    const time = this.#at === null ? null : this.#data.times[this.#at];
    this.#data = data;
    this.#at = time === null || time === undefined ? null : this.#nearest(time);
    this.#paint();
  }

  repaint() {
    this.#paint();
  }

  #nearest(time) {
    const { times } = this.#data;
    if (!times.length) return null;
    let best = 0;
    for (let at = 1; at < times.length; at += 1) {
      if (Math.abs(times[at] - time) < Math.abs(times[best] - time)) best = at;
    }
    return best;
  }

  #point(event) {
    const { from, to } = this.#data;
    const width = this.canvas.clientWidth - MARGIN.left - MARGIN.right;
    this.#read(this.#nearest(from + ((event.offsetX - MARGIN.left) / width) * (to - from)));
  }

  #key(event) {
    const last = this.#data.times.length - 1;
    const at = this.#at ?? last + 1;
    const target = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: last, Escape: null }[event.key];
    if (target === undefined || last < 0) return;
    event.preventDefault();
    this.#read(target === null ? null : Math.min(Math.max(target, 0), last));
    this.reader.textContent = this.#at === null ? "" : this.#words();
  }

  #read(at) {
    this.#at = at;
    this.#paint();
  }

  /** The lines at the time that is read out, the strongest first. */
  #readings() {
    const { lines, by } = this.#data;
    return lines
      .map((line) => ({ line, in: line.in[this.#at], out: line.out[this.#at] }))
      .filter((each) => each.in || each.out)
      .map((each) => ({ ...each, sum: (each.in ? rateOf(each.in, by) : 0) + (each.out ? rateOf(each.out, by) : 0) }))
      .sort((one, other) => other.sum - one.sum);
  }

  #words() {
    const { by, times } = this.#data;
    const parts = this.#readings().slice(0, 4).map((each) =>
      `${each.line.label}: in ${each.in ? rate(rateOf(each.in, by), by) : "nothing"}, out ${each.out ? rate(rateOf(each.out, by), by) : "nothing"}`);
    return `${clock(times[this.#at])}. ${parts.join(". ")}`;
  }

  #paint() {
    const { canvas, context } = this;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    if (!width || !height) return;
    const ratio = devicePixelRatio || 1;
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
    }
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    const style = getComputedStyle(canvas);
    const color = (name) => style.getPropertyValue(`--${name}`).trim();
    const frame = this.#frame(width, height);
    context.font = `11px ${style.fontFamily}`;
    this.#grid(frame, color);
    context.save();
    context.beginPath();
    context.rect(frame.left, frame.top - 1, frame.right - frame.left, frame.bottom - frame.top + 2);
    context.clip();
    for (const line of this.#data.lines) {
      for (const way of ["in", "out"]) this.#line(frame, line[way], way, color(`line-${line.color}`));
    }
    context.restore();
    if (this.#at !== null) this.#cross(frame, color);
    this.#tip(frame);
  }

  /** Where times and rates stand in the canvas. */
  #frame(width, height) {
    const { lines, by, from, to } = this.#data;
    const [left, right, top, bottom] = [MARGIN.left, width - MARGIN.right, MARGIN.top, height - MARGIN.bottom];
    let [up, down] = [0, 0];
    for (const line of lines) {
      for (const pair of line.in) if (pair) up = Math.max(up, rateOf(pair, by));
      for (const pair of line.out) if (pair) down = Math.max(down, rateOf(pair, by));
    }
    if (!up && !down) up = down = by === "bytes" ? 1000 : 1;
    const step = niceStep((up + down) / Math.max(3, (bottom - top) / 44));
    const [high, low] = [up, down].map((most) => most * 1.06 + step * 0.08);
    const y = (value) => top + ((high - value) / (high + low)) * (bottom - top);
    const x = (time) => left + ((time - from) / (to - from || 1)) * (right - left);
    return { left, right, top, bottom, step, high, low, x, y };
  }

  #grid(frame, color) {
    const { context } = this;
    const { by, from, to } = this.#data;
    context.lineWidth = 1;
    context.textBaseline = "middle";
    context.textAlign = "right";
    for (let at = -Math.floor(frame.low / frame.step); at * frame.step <= frame.high; at += 1) {
      const value = at * frame.step;
      const zero = at === 0;
      const y = Math.round(frame.y(value)) + 0.5;
      context.strokeStyle = color(zero ? "axis" : "grid");
      context.beginPath();
      context.moveTo(frame.left, y);
      context.lineTo(frame.right, y);
      context.stroke();
      context.fillStyle = color("muted");
      context.fillText(zero ? "0" : tidy(rate(Math.abs(value), by)), frame.left - 8, y);
    }
    const step = STEPS_S.find((each) => ((frame.right - frame.left) * each) / (to - from || 1) >= (each < 60 ? 84 : 64)) ?? STEPS_S.at(-1);
    const shift = new Date(from * 1000).getTimezoneOffset() * 60; // full hours and days are the reader's
    context.textBaseline = "alphabetic";
    context.textAlign = "center";
    for (let time = Math.ceil((from - shift) / step) * step + shift; time <= to; time += step) {
      const x = Math.round(frame.x(time)) + 0.5;
      context.strokeStyle = color("grid");
      context.beginPath();
      context.moveTo(x, frame.top);
      context.lineTo(x, frame.bottom);
      context.stroke();
      if (x < frame.left + 20 || x > frame.right - 16) continue;
      context.fillStyle = color("muted");
      const label = step >= DAY_S ? clock(time, { withDay: true }).slice(5, 10) : clock(time, { withSeconds: step < 60 });
      context.fillText(label, x, frame.bottom + 17);
    }
    context.textAlign = "left";
    context.fillText("in", frame.left + 6, frame.top + 12);
    context.fillText("out", frame.left + 6, frame.bottom - 7);
  }

  #line(frame, values, way, color) {
    const { context } = this;
    const { times, by } = this.#data;
    const sign = way === "in" ? 1 : -1;
    const zero = frame.y(0);
    let run = [];
    const finish = () => {
      if (run.length) {
        context.strokeStyle = context.fillStyle = color;
        context.lineWidth = 1.75;
        context.lineJoin = "round";
        context.beginPath();
        run.forEach(([x, y], at) => (at ? context.lineTo(x, y) : context.moveTo(x, y)));
        if (run.length === 1) context.arc(...run[0], 1.5, 0, 7);
        context.stroke();
        context.globalAlpha = 0.07;
        context.lineTo(run.at(-1)[0], zero);
        context.lineTo(run[0][0], zero);
        context.fill();
        context.globalAlpha = 1;
      }
      run = [];
    };
    values.forEach((pair, at) => {
      if (pair) run.push([frame.x(times[at]), frame.y(sign * rateOf(pair, by))]);
      else finish();
    });
    finish();
  }

  #cross(frame, color) {
    const { context } = this;
    const { times, by } = this.#data;
    const x = Math.round(frame.x(times[this.#at])) + 0.5;
    context.strokeStyle = color("axis");
    context.beginPath();
    context.moveTo(x, frame.top);
    context.lineTo(x, frame.bottom);
    context.stroke();
    for (const each of this.#readings()) {
      context.fillStyle = color(`line-${each.line.color}`);
      for (const [pair, sign] of [[each.in, 1], [each.out, -1]]) {
        if (!pair) continue;
        context.beginPath();
        context.arc(x, frame.y(sign * rateOf(pair, by)), 3, 0, 7);
        context.fill();
      }
    }
  }

  #tip(frame) {
    const { tip } = this;
    const readings = this.#at === null ? [] : this.#readings();
    tip.hidden = !readings.length;
    if (tip.hidden) return;
    const { by, times, from, to } = this.#data;
    const row = (tag, ...cells) => {
      const tr = document.createElement("tr");
      for (const [text, name] of cells) {
        const cell = document.createElement(tag);
        cell.textContent = text;
        if (name) cell.className = name;
        tr.append(cell);
      }
      return tr;
    };
    const table = document.createElement("table");
    table.append(row("th", [clock(times[this.#at], { withDay: to - from > DAY_S })], ["in", "num"], ["out", "num"]));
    for (const each of readings) {
      table.append(row("td", [each.line.label, `key c${each.line.color}`],
        [each.in ? rate(rateOf(each.in, by), by) : "–", "num"], [each.out ? rate(rateOf(each.out, by), by) : "–", "num"]));
    }
    tip.replaceChildren(table);
    const x = frame.x(times[this.#at]);
    const room = this.canvas.clientWidth - tip.offsetWidth - 4;
    const side = x + 14 > room ? x - tip.offsetWidth - 14 : x + 14;
    tip.style.left = `${Math.max(4, Math.min(side, room))}px`;
    tip.style.top = `${frame.top + 4}px`;
  }
}
