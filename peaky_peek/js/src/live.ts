/** A run as it happens, as an anywidget: the tree that grows, and a strip that says how the run stands. */
import { tool } from "./buttons";
import { element } from "./dom";
import { Growing, type LaidOut } from "./growing";
import "./live.css";
import type { Packed } from "./packed";
import { type Host, type View, widget } from "./shell";
import { Strip } from "./strip";
import type { Theme } from "./theme";
import { TreeView } from "./view";
import type { Columns } from "./wire";

const TICK_MS = 200;

class LiveView implements View {
  readonly element = element("div", "pp-live-view");
  readonly buttons: readonly HTMLElement[];
  readonly head: HTMLElement;
  private readonly tree: TreeView;
  private readonly strip: Strip;
  private readonly newest = tool("follow", "Stay at what happens now", () => this.stay(!this.stays));
  private growing: Growing | null = null;
  private laidOut: LaidOut | null = null;
  private mask: Uint8Array | null = null;
  private asked: (row: number) => string = () => "";
  private stays = true;
  private timer: ReturnType<typeof setInterval> | undefined;

  constructor(theme: Theme, host: Host) {
    this.tree = new TreeView(theme, {
      ...host,
      model: host.model,
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
    this.element.append(this.tree.element);
    this.buttons = [this.newest, ...this.tree.buttons];
    this.newest.ariaPressed = "true";
    for (const gesture of ["wheel", "pointerdown", "keydown"] as const)
      this.tree.element.addEventListener(gesture, () => this.stay(false), { passive: true });
  }

  get naturalHeight(): number {
    return this.tree.naturalHeight;
  }

  get failures(): number {
    return this.tree.failures;
  }

  get frameTimes(): readonly number[] {
    return this.tree.frameTimes;
  }

  get visibleRows(): number {
    return this.tree.visibleRows;
  }

  get selectedRows(): number[] {
    return [...(this.tree.scene?.selected ?? [])].map((at) => this.row(at));
  }

  show(columns: Columns, preview: (row: number) => string): void {
    this.growing = new Growing(columns);
    this.laidOut = this.growing.layOut();
    this.mask = null;
    this.asked = preview;
    this.tree.show(this.laidOut.columns, (at) => this.preview(this.row(at)));
    this.showNewest();
  }

  receive(packed: Packed): void {
    const { growing } = this;
    this.strip.show(packed.facts, growing);
    if (growing && packed.kind === "live") {
      growing.time(packed.facts.open);
      if (packed.columns.row.length > 0) this.grow(growing, packed);
    }
    this.strip.tick(growing);
    this.tickWhile(packed.facts.open.length > 0);
  }

  select(rows: readonly number[]): void {
    this.tree.select(rows.map((row) => this.laidOut?.place[row] ?? -1));
  }

  filter(mask: Uint8Array | null): void {
    this.mask = mask;
    this.filterTree();
  }

  nextFailure(): void {
    this.stay(false);
    this.tree.nextFailure();
  }

  recolour(theme: Theme): void {
    this.tree.recolour(theme);
  }

  invalidate(): void {
    this.tree.invalidate();
  }

  focus(): void {
    this.tree.focus();
  }

  rowRect(row: number): DOMRect | null {
    return this.tree.rowRect(this.laidOut?.place[row] ?? -1);
  }

  close(): void {
    clearInterval(this.timer);
    this.tree.close();
  }

  private grow(growing: Growing, packed: Packed): void {
    growing.take(packed);
    const before = this.laidOut;
    this.laidOut = growing.layOut();
    const was = this.laidOut.order.map((row) => before?.place[row] ?? -1);
    this.tree.grow(this.laidOut.columns, was);
    if (this.mask) this.filterTree();
    if (this.stays) this.showNewest();
  }

  private filterTree(): void {
    const { mask, laidOut } = this;
    // What came since the kernel filtered is not known to match yet.
    this.tree.filter(mask && laidOut && Uint8Array.from(laidOut.order, (row) => mask[row] ?? 0));
  }

  private stay(stays: boolean): void {
    this.stays = stays;
    this.newest.ariaPressed = String(stays);
    if (stays) this.showNewest();
  }

  private showNewest(): void {
    if (this.growing && this.laidOut && this.strip.running) this.tree.reveal(this.laidOut.place[this.growing.rows - 1]);
  }

  private preview(row: number): string {
    return this.growing?.previews.get(row) ?? this.asked(row);
  }

  private row(at: number): number {
    return this.laidOut?.order[at] ?? -1;
  }

  /** Time goes on in the page while something is under way: nobody sends a message for it. */
  private tickWhile(running: boolean): void {
    if (running === (this.timer !== undefined)) return;
    clearInterval(this.timer);
    this.timer = running
      ? setInterval(() => {
          this.strip.tick(this.growing);
          this.tree.invalidate();
        }, TICK_MS)
      : undefined;
  }
}

export default widget("live", (host, theme) => new LiveView(theme, host));
