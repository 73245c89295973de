/**
 * What stands around every view of a session, and between it and the kernel: headline, filter, inspector, the saved
 * outline when no kernel answers. A view draws, and tells what the user does; what the kernel says comes in from here.
 */
import { element } from "./dom";
import { count } from "./format";
import { Inspector } from "./inspector";
import { keepInNotebook } from "./keep";
import { type AnyModel, Model, type Unsubscribe } from "./model";
import type { Packed } from "./packed";
import "./peek.css";
import { Previews } from "./previews";
import { savedColumns } from "./saved";
import { onThemeChange, readTheme, type Theme } from "./theme";
import { Toolbar } from "./toolbar";
import { WhyPanel } from "./whypanel";
import { type Columns, FAILED, type Reply, SUSPECT, WIRE_VERSION } from "./wire";

/** What a view can ask of the shell. */
export interface Host {
  /** For the view's own traits and requests. */
  readonly model: Model;
  /** The user selected rows. */
  selected(rows: number[]): void;
  /** The user wants to read a row. */
  inspect(row: number): void;
  /** The user moved time to an event; -1 lets it go. */
  sought(position: number): void;
  focusFilter(): void;
  escape(): void;
  /** Shows one sentence below the headline; none takes it away. */
  say(sentence: string, problem?: boolean): void;
  /** The view came into the page, or has another size. */
  resized(): void;
  /** There is more or less to draw than there was. */
  reshaped(): void;
  /** A frame was painted. */
  painted(): void;
}

/** What the shell asks of a view. Rows are those of the columns that it was shown last. */
export interface View {
  readonly element: HTMLElement;
  /** Its buttons in the toolbar. */
  readonly buttons: readonly HTMLElement[];
  /** What stands below the headline, while the view is folded too. */
  readonly head?: HTMLElement;
  /** The height that all of it would take, in pixels. */
  readonly naturalHeight: number;
  readonly failures: number;
  readonly frameTimes: readonly number[];
  readonly visibleRows: number;
  /** Of how many things a filter lets some through, where these are not the rows. */
  readonly total?: number;
  show(columns: Columns, preview: (row: number) => string): void;
  /** Takes what the view's Python half sends besides. */
  receive?(packed: Packed): void;
  /** Selects rows and brings the first into view. */
  select(rows: readonly number[]): void;
  /** Moves time to an event, by its index in order; -1 for none. */
  seek?(position: number): void;
  /** Shows only the rows of a mask; null shows all again. */
  filter(mask: Uint8Array | null): void;
  nextFailure(): void;
  recolour(theme: Theme): void;
  /** Draws again, because a preview has arrived. */
  invalidate(): void;
  focus(): void;
  /** Where a row is on the page, or null when it is not in view. */
  rowRect(row: number): DOMRect | null;
  close(): void;
}

/** What browser tests and benchmarks see of a view, as `__peek` of the `.pp-root` element. */
export interface Peek {
  readonly view: View;
  rowRect(row: number): DOMRect | null;
  readonly visibleRows: number;
  readonly frameTimes: readonly number[];
  firstPaintMs: number | null;
}

const NO_KERNEL_MS = 1_000;
const ASK_TIMES = 4;
const SELECT_MS = 60;
const NOTHING = "Nothing recorded yet: run %load_ext peaky_peek and then your agent, or decorate it with @pp.trace.";

/** Returns the anywidget that shows a view; `name` stands as `data-view` at its root, for its style sheet. */
export function widget(name: string, makeView: (host: Host, theme: Theme) => View) {
  return { render: (context: { model: AnyModel; el: HTMLElement }) => render(name, makeView, context) };
}

function render(
  name: string,
  makeView: (host: Host, theme: Theme) => View,
  { model: any, el }: { model: AnyModel; el: HTMLElement },
): Unsubscribe {
  const model = new Model(any);
  const id = Math.random().toString(36).slice(2);
  let previews: Previews | null = null;
  let arrived = 0;
  let waiting: ReturnType<typeof setTimeout> | undefined;
  let live = false;

  const root = element("div", "pp-root");
  root.dataset.view = name;
  // JupyterLab's shortcuts listen before the view's own keys do.
  root.dataset.lmSuppressShortcuts = "true";
  el.replaceChildren(root);

  const selecting = later(SELECT_MS, (rows: number[]) => model.set("_rows", rows));
  const seeking = later(SELECT_MS, (position: number) => model.set("_position", position));
  const inspector = new Inspector(
    model,
    () => view.focus(),
    (row) => {
      view.select([row]);
      selecting.soon([row]);
      inspect(row);
    },
    (row) => (explains() && flags[row] & (FAILED | SUSPECT) ? () => panel.ask(row) : null),
  );
  const panel = new WhyPanel({
    model,
    select(row) {
      view.select([row]);
      panel.select([row]);
      model.set("_rows", [row]);
    },
    inspect: (row) => inspect(row),
    opened(open) {
      toolbar.setWhy(explains(), open);
      if (!open) view.focus();
    },
  });
  let flags: ArrayLike<number> = [];
  const view = makeView(
    {
      model,
      selected(rows) {
        if (live) selecting.soon(rows);
        if (inspector.open && rows.length > 0) inspect(rows[rows.length - 1]);
      },
      sought(position) {
        if (live) seeking.soon(position);
      },
      inspect: (row) => inspect(row),
      focusFilter: () => toolbar.focusFilter(),
      escape() {
        if (inspector.open) inspector.hide();
        else if (live && model.get("_query")) query("");
      },
      say: (sentence, problem) => toolbar.say(sentence, problem),
      // A view is often made before it is in the page, and knows no theme until then.
      resized: () => view.recolour(readTheme(root)),
      reshaped: () => adjust(),
      painted() {
        peek.firstPaintMs ??= performance.now() - arrived;
        previews?.request();
      },
    },
    readTheme(root),
  );
  const toolbar = new Toolbar(
    {
      fold: () => model.set("expanded", !expanded()),
      query,
      leave: () => view.focus(),
      refresh: () => model.send({ type: "refresh" }),
      label: (outcome) => model.send({ type: "label", outcome }),
      nextFailure: () => view.nextFailure(),
      why: () => (panel.open ? panel.hide() : panel.ask()),
    },
    view.buttons,
    model.get("expanded") !== undefined,
  );
  const peek: Peek = {
    view,
    rowRect: (row) => view.rowRect(row),
    get visibleRows() {
      return view.visibleRows;
    },
    get frameTimes() {
      return view.frameTimes;
    },
    firstPaintMs: null,
  };
  Object.assign(root, { __peek: peek });
  const start = element("div", "pp-start");
  root.append(toolbar.element, panel.element, element("div", "pp-body", view.element, inspector.element), start);
  if (view.head) toolbar.element.append(view.head);

  function expanded(): boolean {
    return model.get("expanded") !== false;
  }

  /** Asks for the steps whenever they come into sight: while they are folded, the kernel does not send them. */
  function setExpanded(): void {
    root.classList.toggle("pp-folded", !expanded());
    toolbar.setExpanded(expanded());
    clearTimeout(waiting);
    if (expanded() || view.head) ask();
  }

  /**
   * Asks again when nobody answers: what a page sends before JupyterLab has a subshell for it waits behind the cell
   * that runs, and what it sends later does not.
   */
  function ask(times = 1): void {
    if (expanded()) model.send({ type: "hello", version: WIRE_VERSION, view: id });
    else model.send({ type: "look", view: id });
    if (live && expanded()) return;
    waiting = setTimeout(() => {
      if (times === 1 && expanded()) showSaved();
      if (times < ASK_TIMES) ask(times + 1);
    }, NO_KERNEL_MS);
  }

  /** Whether a card can be opened here: not in one, nor in a view of many sessions, which have no status in common. */
  function explains(): boolean {
    return live && name !== "why" && flags.length > 0 && !!model.get("_title")?.status;
  }

  function inspect(row: number): void {
    if (live) inspector.show(row);
  }

  /** As high as what it shows, up to the height that was asked for; all of that beside an inspector. */
  function adjust(): void {
    const height = model.get("height");
    root.style.setProperty("--pp-height", `${height}px`);
    root.style.setProperty("--pp-rows", `${Math.min(height, view.naturalHeight)}px`);
  }

  function query(text: string): void {
    toolbar.setQuery(text);
    toolbar.say("");
    model.set("_query", text);
    if (text === "") lift();
  }

  function lift(): void {
    view.filter(null);
    toolbar.setMatches("");
  }

  function show(columns: Columns, preview: (row: number) => string): void {
    arrived = performance.now();
    flags = columns.flags;
    view.show(columns, preview);
    toolbar.setWhy(explains(), panel.open);
    toolbar.setFailures(view.failures);
    const { note, box } = model.get("_title") ?? {};
    // A view that is searched with stays there when nothing is found.
    root.classList.toggle("pp-empty", columns.rows === 0 && !box);
    if (box) toolbar.say(note ?? "");
    start.textContent = note || NOTHING;
    adjust();
    view.select(model.get("_rows") ?? []);
    view.seek?.(model.get("_position") ?? -1);
  }

  function showLive(columns: Columns): void {
    clearTimeout(waiting);
    live = true;
    toolbar.enable(true);
    toolbar.say("");
    setTitle();
    inspector.reset();
    previews?.close();
    previews = new Previews(model, columns.rows, () => view.invalidate());
    show(columns, previews.of);
  }

  function showSaved(): void {
    const saved = savedColumns(model.get("_outline") ?? []);
    toolbar.enable(false);
    show(saved, saved.preview);
    if (saved.rows > 0) toolbar.say("No kernel: showing the saved outline.");
  }

  function setTitle(): void {
    toolbar.setTitle(model.get("_title") ?? {});
  }

  const onReply = (reply: Reply): void => {
    if (reply.type === "columns") showLive(reply.columns);
    if (reply.type === "packed" && reply.request === null) {
      clearTimeout(waiting);
      view.receive?.(reply);
      toolbar.setFailures(view.failures);
      adjust();
    }
    if (reply.type === "error" && !isQuestion(reply.request)) toolbar.say(reply.message, true);
    if (reply.type === "mask") {
      view.filter(reply.mask);
      toolbar.setMatches(reply.mask ? `${count(reply.count)} of ${count(view.total ?? reply.mask.length)}` : "");
    }
  };

  setTitle();
  toolbar.setQuery(model.get("_query") ?? "");
  // A view is often made before it is in the page, and knows no theme until then.
  const placed = new ResizeObserver(() => {
    view.recolour(readTheme(root));
    if (root.isConnected) placed.disconnect();
  });
  placed.observe(root);
  const ends: Unsubscribe[] = [
    () => placed.disconnect(),
    model.onReply(onReply),
    model.onChange("_title", setTitle),
    model.onChange("expanded", setExpanded),
    model.onChange("height", adjust),
    model.onChange("_rows", () => {
      view.select(model.get("_rows"));
      panel.select(model.get("_rows"));
      const [first] = model.get("_rows");
      if (inspector.open && first !== undefined) inspect(first);
    }),
    model.onChange("_position", () => view.seek?.(model.get("_position"))),
    model.onChange("_query", () => toolbar.setQuery(model.get("_query"))),
    onThemeChange(() => view.recolour(readTheme(root))),
    () => view.close(),
    panel.close,
    inspector.close,
    () => previews?.close(),
    () => toolbar.close(),
    () => clearTimeout(waiting),
    selecting.cancel,
    seeking.cancel,
    () => model.send({ type: "bye", view: id }),
  ];
  setExpanded();
  keepInNotebook(any.widget_manager);
  return () => {
    for (const end of ends) end();
    root.remove();
  };
}

/** Calls `what` with the last value once there is a pause, so that a drag is not a flood of messages. */
function later<T>(ms: number, what: (value: T) => void): { soon(value: T): void; cancel: Unsubscribe } {
  let timer: ReturnType<typeof setTimeout> | undefined;
  return {
    soon(value) {
      clearTimeout(timer);
      timer = setTimeout(() => what(value), ms);
    },
    cancel: () => clearTimeout(timer),
  };
}

/** Whoever asked shows what went wrong with the answer; what nobody waits for is shown above the view. */
function isQuestion(request: unknown): boolean {
  const type = (request as { type?: string } | undefined)?.type;
  return type !== undefined && type !== "hello" && type !== "refresh" && type !== "filter" && type !== "label";
}
