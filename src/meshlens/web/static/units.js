// Numbers as people read them. Rates come as pairs [packets per second, bytes per second].

const SI = ["", "k", "M", "G", "T"];

function scaled(value, base, prefixes) {
  let at = 0;
  while (Math.abs(value) >= base * 0.9995 && at < prefixes.length - 1) {
    value /= base;
    at += 1;
  }
  const digits = at === 0 && Number.isInteger(value) ? 0 : Math.abs(value) < 9.995 ? 2 : Math.abs(value) < 99.95 ? 1 : 0;
  return [value.toFixed(digits), prefixes[at]];
}

/** A rate in bits or packets per second, from [packets, bytes]. */
export function rateOf(pair, by) {
  return by === "bytes" ? pair[1] * 8 : pair[0];
}

/** "12.3 Mbit/s", "840 pkt/s" */
export function rate(value, by) {
  if (value === null || value === undefined) return "–";
  const [number, prefix] = scaled(value, 1000, SI);
  return `${number} ${prefix}${by === "bytes" ? "bit/s" : "pkt/s"}`;
}

export function both(one, other, by) {
  return rateOf(one, by) + rateOf(other, by);
}

export function bytes(value) {
  const [number, prefix] = scaled(value, 1024, ["", "Ki", "Mi", "Gi"]);
  return `${number} ${prefix}B`;
}

export function count(value) {
  return value.toLocaleString("en");
}

/** "1 station", "200 stations" */
export function some(number, thing) {
  return `${count(number)} ${thing}${number === 1 ? "" : "s"}`;
}

export function percent(share) {
  const value = share * 100;
  return `${value < 0.095 && value > 0 ? value.toFixed(3) : value < 9.95 ? value.toFixed(1) : value.toFixed(0)} %`;
}

const pad = (number) => String(number).padStart(2, "0");

/** The time of day in the reader's own zone; with the day where a chart spans several. */
export function clock(seconds, { withSeconds = true, withDay = false } = {}) {
  const date = new Date(seconds * 1000);
  const time = `${pad(date.getHours())}:${pad(date.getMinutes())}${withSeconds ? `:${pad(date.getSeconds())}` : ""}`;
  return withDay ? `${date.getFullYear()}-${pad(date.getMonth() + 1)}-${pad(date.getDate())} ${time}` : time;
}
