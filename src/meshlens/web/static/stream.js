// Live events: connects, follows, and says when nothing comes any more.

const SILENCE_MS = 6000; // besides three intervals: then the connection counts as lost
const RETRY_MS = 4000;

export class Stream {
  #source = null;
  #timer = null;
  #silence = null;
  #query = "";

  /** handlers: tick(event), recent(events), state("connecting" | "live" | "lost") */
  constructor(handlers) {
    this.handlers = handlers;
    this.interval = 1;
    addEventListener("online", () => this.closed || this.open(this.#query));
    addEventListener("pagehide", () => this.close());
    addEventListener("pageshow", (event) => event.persisted && this.open(this.#query));
  }

  /** Begin anew with another query. */
  open(query) {
    this.close();
    this.#query = query;
    const source = new EventSource(`api/v1/events?${query}`);
    this.#source = source;
    source.onmessage = (message) => {
      this.#heard();
      this.handlers.tick(JSON.parse(message.data));
    };
    source.addEventListener("recent", (message) => this.handlers.recent(JSON.parse(message.data)));
    source.onopen = () => this.#watch();
    source.onerror = () => {
      this.handlers.state("lost");
      // The browser tries again by itself unless the answer was an error.
      if (source.readyState === EventSource.CLOSED) this.#again();
    };
    this.#watch();
  }

  close() {
    clearTimeout(this.#timer);
    clearTimeout(this.#silence);
    this.#source?.close();
    this.#source = null;
  }

  get closed() {
    return this.#source === null;
  }

  #heard() {
    this.handlers.state("live");
    this.#watch();
  }

  #watch() {
    clearTimeout(this.#silence);
    this.#silence = setTimeout(() => {
      this.handlers.state("lost");
      this.#again();
    }, SILENCE_MS + 3000 * this.interval);
  }

  #again() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.open(this.#query), RETRY_MS);
  }
}
