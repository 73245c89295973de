/** The replay: a head that moves over the tracks of a session, and beside it what was known at that moment. */
import { Breakpoints } from "./breakpoints";
import { Course, type Kind } from "./course";
import { element } from "./dom";
import { count, duration } from "./format";
import type { Unsubscribe } from "./model";
import { MomentPanel } from "./moment";
import type { Numbers, Packed, Texts } from "./packed";
import { Player } from "./player";
import "./replay.css";
import { type KeyCommands, press } from "./replaykeys";
import { Scrubber } from "./scrubber";
import type { Host, View } from "./shell";
import { oneLine } from "./text";
import type { Theme } from "./theme";
import { MODES, SPEEDS, Transport } from "./transport";
import { typeLabel } from "./vocabulary";
import { type Columns, FAILED, SUSPECT } from "./wire";

const PANEL = 300;
const BARS = 66;
const TELL_MS = 120;

export class ReplayView implements View {
  readonly element = element("div", "pp-replay");
  readonly buttons: HTMLElement[] = [];
  /** The event that the head stands at, -1 when nobody moved it. */
  position = -1;
  readonly #host: Host;
  readonly scrubber: Scrubber;
  readonly #transport: Transport;
  readonly #stops: Breakpoints;
  readonly #moment: MomentPanel;
  readonly #player: Player;
  readonly #now = element("div", "pp-now");
  readonly #reader = element("div", "pp-reader");
  readonly #commands: KeyCommands;
  readonly #ends: Unsubscribe[];
  #columns: Columns | null = null;
  #preview: (row: number) => string = () => "";
  #isLive = false;
  #mode = "full";
  #mask: Uint8Array | null = null;
  /** What the host was told last, the newest at the end. */
  #told: number[] = [];
  #telling: ReturnType<typeof setTimeout> | undefined;

  constructor(theme: Theme, host: Host) {
    this.#host = host;
    this.#commands = this.#makeCommands();
    this.#transport = new Transport(this.#commands);
    this.scrubber = new Scrubber(theme, {
      go: (at) => this.#go(at, false),
      inspect: (at) => this.#inspect(at),
      describe: (at) => this.#words(at).join(" · "),
      resized: () => host.resized(),
      painted: () => host.painted(),
    });
    this.#stops = new Breakpoints(
      (add) => this.#change({ add }),
      (remove) => this.#change({ remove }),
    );
    this.#moment = new MomentPanel(host.model, this.#stops.element, (at) => this.#go(at));
    this.#player = new Player({
      next: () => this.#onward(),
      took: (at) => this.#took(at),
      go: (at) => {
        this.#go(at);
        if (this.#course?.at.breakpoint.length && this.#course.previous(at + 1, "breakpoint") === at) this.#pause();
      },
      ended: () => this.#pause(),
    });
    this.#reader.setAttribute("aria-live", "polite");
    const top = element("div", "pp-score", this.#transport.element, this.scrubber.element, this.#now, this.#reader);
    top.addEventListener("keydown", (event) => {
      if (!press(event, this.#commands)) return;
      event.preventDefault();
      event.stopPropagation();
    });
    this.element.append(top, this.#moment.element);
    const { model } = host;
    this.#ends = [
      model.onChange("speed", () => this.#setPace()),
      model.onChange("true_time", () => this.#setPace()),
      model.onChange("_playing", () => this.#setPlaying(model.get("_playing") === true)),
      this.#player.stop,
      this.#moment.close,
      this.scrubber.close,
      () => clearTimeout(this.#telling),
    ];
    this.#setPace();
  }

  get failures(): number {
    return this.#course?.at.failure.length ?? 0;
  }

  get naturalHeight(): number {
    return BARS + this.scrubber.height + (this.#isLive ? PANEL : 0);
  }

  get frameTimes(): number[] {
    return this.scrubber.frameTimes;
  }

  /** The steps that the filter lets through. */
  get visibleRows(): number {
    return this.#mask ? this.#mask.reduce((sum, one) => sum + one, 0) : (this.#columns?.rows ?? 0);
  }

  show(columns: Columns, preview: (row: number) => string): void {
    this.#columns = columns;
    this.#preview = preview;
    this.#mask = null;
    this.#setCourse(new Course(columns));
  }

  receive({ kind, facts, columns, texts }: Packed): void {
    if (kind === "events" && this.#columns) {
      this.#isLive = true;
      this.element.classList.add("pp-answered");
      const turns = { from: columns.turn, agent: columns.agent, names: texts.agents };
      this.#setCourse(new Course(this.#columns, columns.ends, columns.time, turns));
      this.#moment.reset();
      this.#rest();
    } else if (kind === "stretches") this.#setStretches(facts.mode, columns, texts);
    else if (kind === "breakpoints" && this.#course) {
      this.#course.at.breakpoint = columns.at;
      this.#stops.show(facts.list);
      this.#transport.setKinds(this.#course.at);
      this.scrubber.repaint();
    }
  }

  select(rows: readonly number[]): void {
    this.scrubber.select(rows);
  }

  /** Follows; but what this view told comes back late, and would hold up a head that goes on. */
  seek(position: number): void {
    const isEcho = this.#told.includes(position) && (this.#player.playing || this.#telling !== undefined);
    if (position === this.position || isEcho) return;
    this.#set(position, true);
    if (this.#player.playing) this.#player.play();
  }

  filter(mask: Uint8Array | null): void {
    this.#mask = mask?.length === this.#columns?.rows ? mask : null;
    this.scrubber.filter(this.#mask);
  }

  nextFailure(): void {
    const found = this.#course?.next(this.position, "failure") ?? -1;
    this.#go(found >= 0 ? found : (this.#course?.next(-1, "failure") ?? -1));
  }

  recolour(theme: Theme): void {
    this.scrubber.recolour(theme);
  }

  /** A preview has arrived. */
  invalidate(): void {
    this.#describe();
  }

  focus(): void {
    this.scrubber.element.focus({ preventScroll: true });
  }

  rowRect(row: number): DOMRect | null {
    return this.scrubber.rect(row);
  }

  readonly close: Unsubscribe = () => {
    for (const end of this.#ends) end();
  };

  get #course(): Course | null {
    return this.scrubber.course;
  }

  #makeCommands(): KeyCommands {
    const { model } = this.#host;
    const length = () => this.#course?.length ?? 0;
    const by = (how: (course: Course) => number) => () => {
      if (this.#course) this.#go(how(this.#course));
    };
    const far = (kind: Kind, how: "next" | "previous") => {
      const at = this.#course?.[how](this.position, kind) ?? -1;
      this.#transport.setKind(kind);
      this.#host.say(at < 0 ? `There is no ${how === "next" ? "later" : "earlier"} ${kind}.` : "");
      this.#go(at);
    };
    return {
      play: () => model.set("_playing", !this.#player.playing),
      step: () => this.#go(this.#beside(1)),
      back: () => this.#go(this.#beside(-1)),
      over: by((course) => course.over(this.position)),
      backOver: by((course) => course.backOver(this.position)),
      into: by((course) => course.into(this.position)),
      out: by((course) => course.out(this.position)),
      next: (kind) => far(kind, "next"),
      previous: (kind) => far(kind, "previous"),
      toggleHere: () => this.#change({ at: this.position < 0 ? length() - 1 : this.position }),
      speed: (value) => model.set("speed", value),
      trueTime: () => model.set("true_time", !this.#player.trueTime),
      mode: (mode) =>
        this.#ask({ type: "mode", mode }, ({ facts, columns, texts }) =>
          this.#setStretches(facts.mode, columns, texts),
        ),
      jump: (events) => this.#go(Math.max(0, Math.min(length() - 1, this.position + events))),
      first: () => this.#go(0),
      last: () => this.#go(length() - 1),
      faster: (steps) => {
        const now = SPEEDS.findLastIndex((one) => one <= this.#player.speed);
        model.set("speed", SPEEDS[Math.max(0, Math.min(SPEEDS.length - 1, now + steps))]);
      },
      nextMode: () => this.#commands.mode(MODES[(MODES.indexOf(this.#mode) + 1) % MODES.length]),
      toggleStretches: () => this.scrubber.toggleAll(),
      zoom: (factor) => this.scrubber.zoom(factor),
      inspect: () => this.#inspect(this.position),
      focusFilter: this.#host.focusFilter,
      escape: this.#host.escape,
    };
  }

  #setCourse(course: Course): void {
    this.scrubber.show(course);
    this.#transport.setKinds(course.at);
    this.element.classList.toggle("pp-stateless", course.at.checkpoint.length === 0);
    this.scrubber.element.setAttribute("aria-valuemin", "1");
    this.scrubber.element.setAttribute("aria-valuemax", String(course.length));
    this.#set(Math.min(this.position, course.length - 1), false);
  }

  #setStretches(mode: string, { start, stop }: Record<string, Numbers>, { said }: Record<string, Texts>): void {
    this.#mode = mode;
    this.#transport.setMode(mode);
    this.scrubber.fold(
      Array.from(start, (from, number) => ({ start: from, stop: stop[number], said: said.at(number) })),
    );
  }

  /** The event beside the head that is to be seen; in full that is every one. */
  #beside(by: 1 | -1): number {
    if (!this.#course) return -1;
    const at = by > 0 ? this.#course.step(this.position) : this.#course.back(this.position);
    const folded = this.#mode === "full" ? null : this.scrubber.foldedAt(at);
    if (!folded) return at;
    const beyond = by > 0 ? folded.stop : folded.start - 1;
    return beyond < this.#course.length ? beyond : -1;
  }

  /** Where playing goes: on, over what is folded, but never over a breakpoint. */
  #onward(): number {
    if (!this.#course) return -1;
    const at = this.#course.step(this.position);
    const { start, stop } = this.scrubber.foldedAt(at) ?? { start: at, stop: at };
    const breakpoint = this.#course.next(this.position, "breakpoint");
    if (breakpoint >= start && breakpoint < stop) return breakpoint;
    return stop < this.#course.length ? stop : -1;
  }

  #took(at: number): number {
    const time = this.#course?.time;
    return time && at === this.position + 1 && at > 0 ? Math.max(0, time[at] - time[at - 1]) : Number.NaN;
  }

  #setPace(): void {
    const { model } = this.#host;
    this.#player.speed = model.get("speed") ?? 1;
    this.#player.trueTime = model.get("true_time") ?? false;
    this.#transport.setPace(this.#player.speed, this.#player.trueTime);
    if (this.#player.playing) this.#player.play();
  }

  #setPlaying(playing: boolean): void {
    this.#transport.setPlaying(playing);
    if (playing === this.#player.playing) return;
    if (playing) {
      // At the end it begins anew.
      if (this.#onward() < 0) this.#set(-1, false);
      this.#player.play();
    } else this.#player.stop();
  }

  #pause(): void {
    this.#setPlaying(false);
    if (this.#telling !== undefined) this.#tell();
    if (this.#host.model.get("_playing")) this.#host.model.set("_playing", false);
  }

  /** The user went to an event: the host is told, now and then while it goes on. */
  #go(at: number, opens = true): void {
    if (at < 0 || at === this.position) return;
    this.#set(at, opens);
    this.#telling ??= setTimeout(() => this.#tell(), TELL_MS);
  }

  #tell(): void {
    clearTimeout(this.#telling);
    this.#telling = undefined;
    this.#told = [...this.#told.slice(-20), this.position];
    if (this.#isLive) this.#host.model.set("_position", this.position);
  }

  #set(at: number, opens: boolean): void {
    this.position = at;
    this.scrubber.setHead(at, opens && !this.#player.playing);
    this.#describe();
    this.#rest();
  }

  #rest(): void {
    const length = this.#course?.length ?? 0;
    if (this.#isLive && length > 0) this.#moment.show(this.position < 0 ? length - 1 : this.position);
  }

  #describe(): void {
    const { position } = this;
    const words = this.#words(position);
    const row = this.#course?.row[position] ?? -1;
    const flags = position < 0 ? 0 : (this.#columns?.flags[row] ?? 0);
    this.#now.dataset.mark = flags & FAILED ? "failed" : flags & SUSPECT ? "suspect" : "";
    const said = position < 0 ? "" : oneLine(this.#preview(row));
    const [place, name = "", ...rest] = words;
    this.#now.replaceChildren(
      element("span", "pp-place", place),
      element("bdi", "pp-what", name),
      element("span", "pp-dim", rest.join(" · ")),
      element("bdi", "pp-preview", said),
    );
    const sentence = words.join(", ");
    if (this.#reader.textContent !== sentence) this.#reader.textContent = sentence;
    this.scrubber.element.setAttribute("aria-valuenow", String(position + 1));
    this.scrubber.element.setAttribute("aria-valuetext", sentence);
  }

  /** What is said of an event, in its order: its place, its name, and what a sighted reader takes from its marks. */
  #words(at: number): string[] {
    const course = this.#course;
    const columns = this.#columns;
    if (!course || !columns || course.length === 0) return [""];
    if (at < 0) return [`The end of ${count(course.length, "event")}`];
    const row = course.row[at];
    const seen = course.seen(row) === at;
    const flags = columns.flags[row];
    const time = course.time?.[at];
    const begins = course.opens[row] === at && course.closes[row] >= 0;
    const marks = seen ? [flags & FAILED ? "failed" : "", flags & SUSPECT ? "suspect" : ""] : [];
    return [
      `${count(at + 1)} of ${count(course.length)}`,
      oneLine(columns.name(row), 80),
      typeLabel(columns.kind[row]) + (begins ? " begins" : course.closes[row] === at ? " ends" : ""),
      ...marks,
      course.agent(at),
      time !== undefined && time >= 0 ? `+${duration(time)}` : "",
    ].filter(Boolean);
  }

  #inspect(at: number): void {
    const row = at < 0 ? undefined : this.#course?.row[at];
    if (row === undefined) return;
    this.scrubber.select([row]);
    this.#host.selected([row]);
    this.#host.inspect(row);
  }

  #change(what: object): void {
    this.#ask({ type: "break", ...what }, () => this.#host.say(""));
  }

  #ask(request: { type: string; [argument: string]: unknown }, answered: (packed: Packed) => void): void {
    this.#ends.push(this.#host.model.fetch(request, answered, (sentence) => this.#host.say(sentence, true)));
  }
}
