"use strict";

/* Plays one sound at a time and switches to another at the same position.

   Two <audio> elements take turns, as a disc jockey's decks do: the spare one
   is started, muted, where the other one is; once it runs, they change roles.
   Media elements also work on file://, where a page may not read files. From a
   web server sounds are fetched whole, so that any server will do: seeking in a
   stream needs one that supports ranges. A sound that has such an address, its
   `url`, is streamed. */

const QUERY = new URLSearchParams(location.search);
const PLAYS_FLAC = QUERY.get("fallback") !== "wav"
  && document.createElement("audio").canPlayType("audio/flac") !== "";
const IS_LOCAL = location.protocol === "file:";
// A moment of silence: a browser that wants a gesture for each element gets it.
const SILENCE = "data:audio/wav;base64,UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAIA"
  + "+AAACABAAZGF0YQIAAAAAAA==";

/* Returns the address of a sound. On a web server it is fetched, once, and
   kept; a page is small enough for that. */
const addresses = new Map();

function addressOf(sound) {
  if (!addresses.has(sound)) {
    const address = load(sound);
    address.catch(() => addresses.delete(sound));
    addresses.set(sound, address);
  }
  return addresses.get(sound);
}

async function load(sound) {
  if (sound.url) return sound.url;
  const kind = sound.wav && !PLAYS_FLAC ? "wav" : "flac";
  const file = `${sound.stem}.${kind}`;
  if (IS_LOCAL) return file;
  const response = await fetch(file);
  if (!response.ok) throw new Error(`${file}: status ${response.status}`);
  const data = await response.arrayBuffer();
  return URL.createObjectURL(new Blob([data], { type: `audio/${kind}` }));
}

/* Resolves on an event of a deck, and rejects if its sound is refused. */
function happens(deck, name) {
  const listening = new AbortController();
  const options = { once: true, signal: listening.signal };
  return new Promise((resolve, reject) => {
    deck.addEventListener(name, resolve, options);
    deck.addEventListener("error", () => reject(
      new Error(`${deck.dataset.sound} cannot be played`)), options);
  }).finally(() => listening.abort());
}

class Player {
  /* `onChange` is called when playing starts, stops or goes over. */
  constructor(onChange) {
    this.onChange = onChange;
    this.sound = null; // what is heard, or was last
    this.ticket = 0; // of the latest request
    this.isPending = false; // whether that is still to be heard
    this.lead = 0.03; // how long a deck takes to start, seconds
    this.isUnlocked = false;
    this.decks = [this.makeDeck(), this.makeDeck()];
    [this.deck, this.spare] = this.decks;
  }

  makeDeck() {
    const deck = document.createElement("audio");
    deck.preload = "auto";
    deck.addEventListener("ended", () => {
      if (deck === this.deck) this.onChange();
    });
    document.body.append(deck);
    return deck;
  }

  get isPlaying() {
    return !this.deck.paused && !this.deck.ended;
  }

  get position() {
    return this.deck.currentTime;
  }

  set loop(isOn) {
    this.decks.forEach((deck) => { deck.loop = isOn; });
  }

  unlock() {
    if (this.isUnlocked) return;
    this.isUnlocked = true;
    for (const deck of this.decks) {
      deck.src = SILENCE;
      deck.play().catch(() => {});
    }
  }

  seek(position) {
    this.deck.currentTime = position;
  }

  pause() {
    this.ticket += 1; // whatever was about to start does not
    this.isPending = false;
    this.decks.forEach((deck) => deck.pause());
    this.onChange();
  }

  /* Plays `sound` from `position`, in seconds. */
  play(sound, position) {
    return this.start(sound, () => position, false);
  }

  /* Goes over to `sound` where the present one is, which is playing. */
  switchTo(sound) {
    return this.start(sound, () => this.position, true);
  }

  async start(sound, position, inStep) {
    this.ticket += 1;
    const ticket = this.ticket;
    this.isPending = true;
    this.spare.pause(); // whatever was about to start does not
    this.unlock();
    if (!inStep) this.deck.pause();
    const deck = this.spare;
    try {
      const url = await addressOf(sound);
      if (ticket !== this.ticket) return;
      deck.pause();
      deck.muted = inStep; // until it runs
      deck.dataset.sound = sound.stem;
      deck.src = url;
      await happens(deck, "loadedmetadata");
      if (ticket !== this.ticket) return;
      await this.cue(deck, position() + (inStep ? this.lead : 0));
      if (ticket !== this.ticket) return;
      await deck.play();
      if (inStep) await this.runs(deck);
    } catch (error) {
      if (ticket !== this.ticket) return; // a later request took the deck
      throw error;
    }
    // Another request has paused the deck, or will before it uses it.
    if (ticket === this.ticket) this.exchange(sound, inStep);
  }

  async cue(deck, position) {
    const isOver = position > deck.duration - 0.05;
    const wanted = isOver ? 0 : Math.max(0, position);
    if (Math.abs(deck.currentTime - wanted) < 0.001) return;
    const seeked = happens(deck, "seeked");
    deck.currentTime = wanted;
    await seeked;
  }

  /* Waits until a deck that has been started is really under way. */
  async runs(deck) {
    const [start, since] = [deck.currentTime, performance.now()];
    while (deck.currentTime < start + 0.03 && performance.now() < since + 300) {
      await new Promise((resolve) => { setTimeout(resolve, 8); });
    }
  }

  exchange(sound, inStep) {
    if (inStep && !this.deck.paused) {
      const late = this.deck.currentTime - this.spare.currentTime;
      const step = Math.max(-0.03, Math.min(0.5 * late, 0.03)); // some hang
      this.lead = Math.max(0, Math.min(this.lead + step, 0.15));
    }
    this.isPending = false;
    this.deck.pause();
    this.spare.muted = false;
    [this.deck, this.spare] = [this.spare, this.deck];
    this.sound = sound;
    this.onChange();
  }
}
