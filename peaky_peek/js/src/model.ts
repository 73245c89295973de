/** anywidget's model with types: subscriptions that can be taken back, and questions that notice when nobody answers. */
import type { Packed } from "./packed";
import { decode, type Reply, type Request } from "./wire";

/** A row of the saved outline, as ready text, or a gap where steps were left out. */
export type OutlineRow =
  | {
      depth: number;
      type: string;
      label: string;
      text: string;
      duration: string;
      cost: string;
      failed: boolean;
      suspect: string;
    }
  | { gap: number; failed: number };

export interface Title {
  name?: string;
  status?: string;
  facts?: string[];
  note?: string;
  /** What somebody said of the session; empty when nobody did, absent where there is no session. */
  outcome?: string;
  /** What the box above the view is for, where it is not for filtering. */
  box?: string;
}

/** The synced traits. */
export interface State {
  _rows: number[];
  _query: string;
  /** Index of the event that time stands at; -1 when nobody moved it. */
  _position: number;
  /** Of the replay: how fast it plays, whether it waits as long as the agent did, and whether it plays. */
  speed?: number;
  true_time?: boolean;
  _playing?: boolean;
  _outline: OutlineRow[];
  _title: Title;
  height: number;
  /** Of the failure card only; see `card.ts`. */
  _card?: unknown;
  /** How a tree is laid out; absent where there is none. */
  drawn_as?: "outline" | "node-link";
  /** Absent in exported pages, which are always expanded. */
  expanded?: boolean;
}

/** What anywidget hands to `render`; nothing beyond this is needed, so any front end that has it will do. */
export interface AnyModel {
  get(name: string): unknown;
  set(name: string, value: unknown): void;
  save_changes(): void;
  on(event: string, handler: (...args: never[]) => void): void;
  off(event: string, handler: (...args: never[]) => void): void;
  send(message: unknown): void;
  /** Of JupyterLab or another front end; see `keepInNotebook`. */
  readonly widget_manager?: unknown;
}

export type Unsubscribe = () => void;

type Question = Exclude<Request, { type: "hello" | "bye" | "refresh" }>;

/** A request of one view only, answered by a packed message that repeats it, or by an error. */
export interface OwnRequest {
  type: string;
  [argument: string]: unknown;
}

const PATIENCE_MS = 5_000;
const SILENCE = "The kernel has not answered. It may be busy or gone.";

export class Model {
  constructor(private readonly any: AnyModel) {}

  get<K extends keyof State>(name: K): State[K] {
    return this.any.get(name) as State[K];
  }

  set<K extends keyof State>(name: K, value: State[K]): void {
    this.any.set(name, value);
    this.any.save_changes();
  }

  onChange(name: keyof State, handler: () => void): Unsubscribe {
    return this.on(`change:${name}`, handler);
  }

  onReply(handler: (reply: Reply) => void): Unsubscribe {
    return this.on("msg:custom", (message: unknown, buffers: DataView[] = []) => {
      const reply = decode(message, buffers);
      if (reply) handler(reply);
    });
  }

  send(request: Request | OwnRequest): void {
    this.any.send(request);
  }

  /**
   * Sends `request` and calls `answered` with the reply of its type that `matches`, however late. `failed` gets a
   * sentence when the kernel cannot answer, or has not after five seconds. Returns what ends the waiting.
   */
  ask<K extends Question["type"]>(
    request: Extract<Question, { type: K }>,
    matches: (reply: Extract<Reply, { type: K }>) => boolean,
    answered: (reply: Extract<Reply, { type: K }>) => void,
    failed: (sentence: string) => void,
  ): Unsubscribe {
    const isAnswer = (reply: Reply) => reply.type === request.type && matches(reply as Extract<Reply, { type: K }>);
    return this.wait(request, isAnswer, answered as (reply: Reply) => void, failed);
  }

  /** The same for what one view only asks: the answer is the packed message that repeats the request. */
  fetch(request: OwnRequest, answered: (reply: Packed) => void, failed: (sentence: string) => void): Unsubscribe {
    const isAnswer = (reply: Reply) => reply.type === "packed" && same(reply.request, request);
    return this.wait(request, isAnswer, answered as (reply: Reply) => void, failed);
  }

  private wait(
    request: { type: string },
    isAnswer: (reply: Reply) => boolean,
    answered: (reply: Reply) => void,
    failed: (sentence: string) => void,
  ): Unsubscribe {
    const timer = setTimeout(() => failed(SILENCE), PATIENCE_MS);
    const stop = () => {
      clearTimeout(timer);
      off();
    };
    const off = this.onReply((reply) => {
      if (reply.type === "error" && same(reply.request, request)) {
        stop();
        failed(reply.message);
      } else if (isAnswer(reply)) {
        stop();
        answered(reply);
      }
    });
    this.any.send(request);
    return stop;
  }

  private on(event: string, handler: (...args: never[]) => void): Unsubscribe {
    this.any.on(event, handler);
    return () => this.any.off(event, handler);
  }
}

/** Whether two messages say the same; the kernel repeats a request as it came. */
export function same(one: unknown, other: unknown): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}
