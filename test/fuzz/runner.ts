import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { ForeshardError } from '../../src/base/errors.ts';
import { type Random, seededRandom } from '../../src/base/random.ts';
import { GlobalsWatch } from './globals.ts';
import { minimise } from './minimise.ts';
import { enlarge, INPUT_BYTES_MAX, mutateBytes, oneIn, pick } from './mutate.ts';
import type { FuzzTarget } from './target.ts';

/** A parser may keep so much of an input, beside a fixed sum for what it says of any. */
const HEAP_PER_BYTE_MAX = 8;
const HEAP_FIXED = 256 * 1024;
/** Every so many inputs one is made large, and the heap is measured around it: a full collection takes milliseconds. */
const HEAP_EVERY = 100;
const GLOBALS_EVERY = 16;
/** Of one input, the best of three: a machine may have other things to do. */
const RUN_MS_MAX = 1_000;
/** Of smaller inputs the fixed sum hides what they weigh. */
const RATIO_BYTES_MIN = 16 * 1024;
/** Kept beside the corpus for having led to something new. */
const KEPT_MAX = 2_000;
const FINDINGS_MAX = 10;
const NOTHING = Buffer.alloc(0);

export interface Finding {
  readonly target: string;
  readonly what: string;
  readonly input: Buffer;
}

export interface RunTotals {
  readonly inputs: number;
  readonly bytes: number;
  /** Inputs that were parsed to the end; the others were refused by a typed error. */
  readonly accepted: number;
  /** Different outcomes seen. */
  readonly kinds: number;
  /** The largest growth of the heap by a parsed input, as a multiple of its size; of inputs of 16 KiB and more. */
  readonly heapRatioMax: number;
  readonly runMsMax: number;
}

/** Runs one target on made and mutated inputs, and judges each run. */
export class FuzzRunner {
  readonly findings: Finding[] = [];
  readonly #target: FuzzTarget;
  readonly #random: Random;
  readonly #onInput: (input: Buffer) => void;
  readonly #corpus: Buffer[];
  readonly #kinds = new Set<string>();
  readonly #collect: () => void;
  #globals: GlobalsWatch | null = null;
  #inputs = 0;
  #bytes = 0;
  #accepted = 0;
  #heapRatioMax = 0;
  #runMsMax = 0;

  /** @param onInput told before every run, so that somebody else knows what has hung. */
  constructor(
    target: FuzzTarget,
    options: {
      readonly seed: bigint;
      readonly corpus: readonly Buffer[];
      readonly onInput?: (input: Buffer) => void;
    },
  ) {
    this.#target = target;
    this.#random = seededRandom(options.seed).fork(target.name);
    this.#corpus = [...options.corpus];
    this.#onInput = options.onInput ?? (() => {});
    setFlagsFromString('--expose-gc');
    this.#collect = runInNewContext('gc') as () => void;
  }

  get totals(): RunTotals {
    return {
      inputs: this.#inputs,
      bytes: this.#bytes,
      accepted: this.#accepted,
      kinds: this.#kinds.size,
      heapRatioMax: this.#heapRatioMax,
      runMsMax: this.#runMsMax,
    };
  }

  /** The corpus first, then new inputs, until `isOver`. */
  async run(isOver: () => boolean): Promise<void> {
    for (const input of [...this.#corpus]) await this.one(input);
    // What is made on first use (caches, lazily loaded parts) is there now.
    this.#globals = new GlobalsWatch();
    while (!isOver() && this.findings.length < FINDINGS_MAX) await this.one(this.#next());
  }

  /** One input, judged. */
  async one(input: Buffer): Promise<void> {
    this.#inputs++;
    const isMeasured = this.#globals !== null && this.#inputs % HEAP_EVERY === 0;
    const isLargeEnough = input.length >= RATIO_BYTES_MIN && oneIn(2, this.#random);
    const tried = isMeasured && !isLargeEnough ? enlarge(input, this.#random) : input;
    const kind = await this.#try(tried, isMeasured);
    if (this.#kinds.has(kind)) return;
    this.#kinds.add(kind);
    if (this.#corpus.length < KEPT_MAX && tried.length <= INPUT_BYTES_MAX / 8)
      this.#corpus.push(Buffer.from(tried));
  }

  /** An input of which something was found before, with every check. */
  async again(input: Buffer): Promise<void> {
    this.#inputs++;
    this.#globals ??= new GlobalsWatch();
    await this.#try(input, true);
  }

  async #try(input: Buffer, isMeasured: boolean): Promise<string> {
    this.#bytes += input.length;
    const { what, kind, runMs } = await this.#judge(input, isMeasured);
    this.#runMsMax = Math.max(this.#runMsMax, runMs);
    if (what !== null) await this.#report(what, input);
    return kind;
  }

  #next(): Buffer {
    const random = this.#random;
    if (this.#corpus.length === 0 || oneIn(5, random)) {
      const made = this.#target.generate(random);
      return oneIn(2, random) ? made : this.#target.mutate(made, random);
    }
    const known = pick(this.#corpus, random);
    return oneIn(4, random) ? mutateBytes(known, random) : this.#target.mutate(known, random);
  }

  async #judge(
    input: Buffer,
    isMeasured: boolean,
  ): Promise<{ readonly what: string | null; readonly kind: string; readonly runMs: number }> {
    this.#onInput(input);
    const elapsedMs = stopwatch();
    const { kind, what, isParsed } = await this.#outcomeOf(input);
    if (isParsed) this.#accepted++;
    let runMs = elapsedMs();
    for (let again = 0; again < 2 && runMs > RUN_MS_MAX; again++) {
      const againMs = stopwatch();
      await this.#outcomeOf(input);
      runMs = Math.min(runMs, againMs());
    }
    if (what !== null) return { what, kind, runMs };
    if (runMs > RUN_MS_MAX)
      return { what: `slow: ${input.length} bytes took ${Math.round(runMs)} ms`, kind, runMs };
    const isGlobalsTurn = this.#inputs % GLOBALS_EVERY === 0 || this.#globals?.hasSameCounts() === false;
    const changes = isGlobalsTurn ? (this.#globals?.changes() ?? []) : [];
    if (changes.length > 0) {
      this.#globals = new GlobalsWatch();
      return {
        what: `globals changed, by this input or one of the ${GLOBALS_EVERY} before: ${changes.join(', ')}`,
        kind,
        runMs,
      };
    }
    return { what: isMeasured ? await this.#heapProblem(input) : null, kind, runMs };
  }

  /** What cannot be thrown by the world, only by a fault of ours. */
  async #outcomeOf(input: Buffer): Promise<Judgement> {
    try {
      const { kind, value } = await this.#target.run(input);
      return { kind, what: null, value, isParsed: true };
    } catch (error) {
      const { message = '', stack = '' } = error as Error;
      if (error instanceof ForeshardError) {
        if (message.length > MESSAGE_MAX)
          return {
            kind: 'long',
            what: `a message of ${message.length} characters`,
            value: null,
            isParsed: false,
          };
        return { kind: `${error.code} ${shapeOf(message)}`, what: null, value: error, isParsed: false };
      }
      return {
        kind: `untyped ${shapeOf(message)}`,
        what: `not a ForeshardError: ${stack || String(error)}`,
        value: null,
        isParsed: false,
      };
    }
  }

  async #heapProblem(input: Buffer): Promise<string | null> {
    let grown = Number.POSITIVE_INFINITY;
    const allowed = HEAP_FIXED + HEAP_PER_BYTE_MAX * input.length;
    // The first time code is compiled, and caches are filled, on the input's account.
    for (let attempt = 0; attempt < 3 && grown > HEAP_PER_BYTE_MAX * input.length; attempt++)
      grown = Math.min(grown, await this.#heapGrowth(input));
    if (input.length >= RATIO_BYTES_MIN)
      this.#heapRatioMax = Math.max(this.#heapRatioMax, grown / input.length);
    return grown <= allowed ? null : `heap: ${input.length} bytes of input left ${grown} bytes behind`;
  }

  /** A function of its own: what it holds is let go of before the next attempt begins. */
  async #heapGrowth(input: Buffer): Promise<number> {
    await this.#outcomeOf(NOTHING); // in the place of what the target keeps of the input before
    const before = this.#heapBytes();
    const held = await this.#outcomeOf(input);
    const after = this.#heapBytes();
    this.#kinds.add(held.kind);
    return after - before;
  }

  /** A second collection first waits for what the one before has only begun: array buffers are freed by another thread. */
  #heapBytes(): number {
    this.#collect();
    this.#collect();
    const { heapUsed, arrayBuffers } = process.memoryUsage();
    return heapUsed + arrayBuffers;
  }

  async #report(what: string, input: Buffer): Promise<void> {
    const kind = shapeOf(what.split('\n').slice(0, 2).join(' '));
    if (this.findings.some((known) => shapeOf(known.what.split('\n').slice(0, 2).join(' ')) === kind)) return;
    const isDeterministic = what.startsWith('not a ForeshardError') || what.startsWith('a message of');
    const least = isDeterministic
      ? await minimise(input, async (smaller) => {
          this.#onInput(smaller);
          const found = (await this.#outcomeOf(smaller)).what;
          return found !== null && shapeOf(found.split('\n').slice(0, 2).join(' ')) === kind;
        })
      : input;
    this.findings.push({ target: this.#target.name, what, input: least });
  }
}

/** Milliseconds since, of the clock or of the processor, whichever are fewer: waiting for a busy machine is no fault of a parser. */
function stopwatch(): () => number {
  const startedMs = performance.now();
  const startedCpu = process.cpuUsage();
  return () => {
    const { user, system } = process.cpuUsage(startedCpu);
    return Math.min(performance.now() - startedMs, (user + system) / 1_000);
  };
}

interface Judgement {
  readonly kind: string;
  /** What is wrong with it; null for nothing. */
  readonly what: string | null;
  /** Held while the heap is measured. */
  readonly value: unknown;
  readonly isParsed: boolean;
}

/** Nobody reads more, and a log is not to be filled. */
const MESSAGE_MAX = 64 * 1024;

/** A message without what differs from input to input. */
const shapeOf = (message: string): string =>
  message
    .slice(0, 2_000)
    .replace(/"[^"]*"|'[^']*'|`[^`]*`/g, '"')
    .replace(/[^ -~]+/g, '?')
    .replace(/-?\d[\d.e+]*/g, '0')
    .slice(0, 160);
