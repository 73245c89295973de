/** A run as it happens, as an anywidget: the tree that grows, and a strip that says how the run stands. */
import { tool } from "./buttons";
import { Growing, type LaidOut } from "./growing";
import "./live.css";
import type { Packed } from "./packed";
import { type Host, widget } from "./shell";
import { Strip } from "./strip";
import type { Theme } from "./theme";
import { TreeView } from "./view";
import type { Columns } from "./wire";

const TICK_MS = 200;
/** Laying out a large tree is followed by a pause of so many times its length. */
const SHARE = 3;
const QUICK_MS = 5;

class LiveView extends TreeView {
  readonly head: HTMLElement;
  private readonly strip: Strip;
  private readonly newest = tool("follow", "Stay at what happens now", () => this.stay(!this.stays));
  private growing: Growing | null = null;
  private laidOut: LaidOut | null = null;
  private mask: Uint8Array | null = null;
  private asked: (row: number) => string = () => "";
  private stays = true;
  private ticking: ReturnType<typeof setInterval> | undefined;
  private laying: ReturnType<typeof setTimeout> | undefined;
  private took = 0;

  constructor(theme: Theme, host: Host) {
    super(theme, {
      ...host,
      selected: (rows) => host.selected(rows.map((at) => this.row(at))),
      inspect: (at) => host.inspect(this.row(at)),
    });
    this.strip = new Strip({
      watch: (session) => host.model.send({ type: "watch", session }),
      select: (row) => {
        this.stay(false);
        this.select([row]);
        host.selected([row]);
      },
    });
    this.head = this.strip.element;
    this.buttons.unshift(this.newest);
    this.newest.ariaPressed = "true";
    for (const gesture of ["wheel", "pointerdown", "keydown"])
      this.element.addEventListener(gesture, () => this.stay(false), { passive: true });
  }

  get selectedRows(): number[] {
    return [...(this.scene?.selected ?? [])].map((at) => this.row(at));
  }

  override show(columns: Columns, preview: (row: number) => string): void {
    this.growing = new Growing(columns);
    this.laidOut = this.growing.layOut();
    this.mask = null;
    this.asked = preview;
    super.show(this.laidOut.columns, (at) => this.preview(this.row(at)));
    this.showNewest();
  }

  receive({ kind, facts, columns, texts }: Packed): void {
    if (kind !== "live") return;
    const { growing } = this;
    growing?.time(facts.open);
    this.strip.show(facts, growing);
    // A page that was made later than a message has not heard it, and is told all of it soon.
    if (growing && columns.row.length > 0 && facts.rows - columns.row.length <= growing.rows) {
      growing.take({ columns, texts });
      if (this.took < QUICK_MS) this.layOut();
      else this.laying ??= setTimeout(() => this.layOut(), SHARE * this.took);
    }
    this.tickWhile(facts.open.length > 0);
  }

  override select(rows: readonly number[]): void {
    super.select(rows.map((row) => this.laidOut?.place[row] ?? -1));
  }

  override filter(mask: Uint8Array | null): void {
    this.mask = mask;
    const { laidOut } = this;
    // What came since the kernel filtered is not known to match yet.
    super.filter(mask && laidOut && Uint8Array.from(laidOut.order, (row) => mask[row] ?? 0));
  }

  override nextFailure(): void {
    this.stay(false);
    super.nextFailure();
  }

  override rowRect(row: number): DOMRect | null {
    return super.rowRect(this.laidOut?.place[row] ?? -1);
  }

  override close(): void {
    clearInterval(this.ticking);
    clearTimeout(this.laying);
    super.close();
  }

  private layOut(): void {
    const [started, before] = [performance.now(), this.laidOut];
    this.laying = undefined;
    if (!this.growing) return;
    this.laidOut = this.growing.layOut();
    this.grow(
      this.laidOut.columns,
      this.laidOut.order.map((row) => before?.place[row] ?? -1),
    );
    if (this.mask) this.filter(this.mask);
    if (this.stays) this.showNewest();
    this.took = performance.now() - started;
  }

  private stay(stays: boolean): void {
    this.stays = stays;
    this.newest.ariaPressed = String(stays);
    if (stays) this.showNewest();
  }

  private showNewest(): void {
    if (this.laidOut && this.strip.running) this.reveal(this.laidOut.place[this.laidOut.order.length - 1]);
  }

  private preview(row: number): string {
    return this.growing?.previews.get(row) ?? this.asked(row);
  }

  private row(at: number): number {
    return this.laidOut?.order[at] ?? -1;
  }

  /** Time goes on in the page while something is under way: nobody sends a message for it. */
  private tickWhile(running: boolean): void {
    if (running === (this.ticking !== undefined)) return;
    clearInterval(this.ticking);
    const tick = () => {
      this.strip.tick(this.growing);
      this.invalidate();
    };
    this.ticking = running ? setInterval(tick, TICK_MS) : undefined;
  }
}

export default widget("live", (host, theme) => new LiveView(theme, host));
