// The last minutes, line by line: what live charts draw.

const KINDS = ["interfaces", "filters", "stations"];
const LENGTH = 180;
const EMPTY = [0, 0];

/** A line's identity: the same filter or station on two interfaces is two lines. */
export const keyOf = (row) => (row.interface ? `${row.name}\n${row.interface}` : row.name);

export class Store {
  #ticks = [];
  interval = 1; // seconds from one reading to the next

  /** Seconds that a live chart shows. */
  get window() {
    return LENGTH * this.interval;
  }

  clear() {
    this.#ticks = [];
  }

  /** `top` is how many rows a table of the event has at most, besides those of the names in `watched`. */
  add(event, top, watched) {
    const last = this.#ticks.at(-1);
    if (last?.time === event.time) return;
    if (last?.time > event.time) this.clear(); // the clock was set back
    const rows = {};
    for (const kind of KINDS) rows[kind] = new Map(event[kind].map((row) => [keyOf(row), row]));
    const whole = { interfaces: true, filters: event.filters.length < top, stations: event.stations.length < top };
    this.#ticks.push({ time: event.time, seconds: event.seconds, rows, whole, watched });
    if (this.#ticks.length > LENGTH) this.#ticks.shift();
  }

  /** {times, lines: [{key, row, in: [pair or null], out: […]}]} of the `number` lines that carried the most.

  If any are `watched`, of these only. */
  lines(kind, by, number, interfaceName, watched) {
    const place = by === "bytes" ? 1 : 0;
    const since = (this.#ticks.at(-1)?.time ?? 0) - this.window;
    const ticks = this.#ticks.filter((tick) => tick.time >= since); // before the first viewer they come seldom
    const sums = new Map();
    const newest = new Map();
    for (const tick of ticks) {
      for (const [key, row] of tick.rows[kind]) {
        if (kind === "interfaces" && interfaceName && row.name !== interfaceName) continue;
        if (watched.length && !watched.includes(row.name)) continue;
        sums.set(key, (sums.get(key) ?? 0) + (row.in[place] + row.out[place]) * tick.seconds);
        newest.set(key, row);
      }
    }
    for (const name of watched) {
      // Not a packet yet: a line of zeros says that it is watched.
      if ([...newest.values()].some((row) => row.name === name)) continue;
      newest.set(name, { name, interface: "" });
      sums.set(name, 0);
    }
    const keys = [...sums.keys()].sort((one, other) => sums.get(other) - sums.get(one)).slice(0, number);
    const values = (key, way) =>
      ticks.map((tick) => {
        const row = tick.rows[kind].get(key);
        // What is not among the top ones of a full table had some rate below theirs: not known, not 0.
        const listed = tick.whole[kind] || tick.watched.includes(newest.get(key).name);
        return row ? row[way] : listed && kind !== "interfaces" ? EMPTY : null;
      });
    return {
      times: ticks.map((tick) => tick.time),
      lines: keys.map((key) => ({ key, row: newest.get(key), in: values(key, "in"), out: values(key, "out") })),
    };
  }

  /** The last rates of an interface, both ways together. */
  spark(name, by, length) {
    const place = by === "bytes" ? 1 : 0;
    return this.#ticks.slice(-length).map((tick) => {
      const row = tick.rows.interfaces.get(name);
      return row ? row.in[place] + row.out[place] : null;
    });
  }
}
