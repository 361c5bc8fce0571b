// How many messages a session may have under way, and who waits to hand over one more. One, until a transaction went
// through cleanly at a peer that takes overlap; then three: one whose content flows or is judged, one whose envelope
// left with its final dot, one that waits for its turn.

const MAX_UNDER_WAY = 3;

export interface Turns {
  /** No refusal since the last clean transaction: the next envelope may overlap. */
  readonly isClean: boolean;
  /** One more than may be under way would be a bug of the caller. */
  readonly areTaken: boolean;
  readonly underWay: number;
  /** A message was handed over. */
  take(): void;
  /** A message is settled. */
  giveBack(): void;
  judgedClean(isClean: boolean): void;
  /** Resolves when one more may be handed over, or none ever. */
  ready(): Promise<void>;
  /** The session is over: nobody need wait. */
  end(): void;
}

export function createTurns(mayOverlap: boolean): Turns {
  let underWay = 0;
  let isClean = false;
  let isOver = false;
  /** Whoever was told `ready` may hand over, also when the peer refused something in the meantime. */
  let hasOverlapped = false;
  let waiting: (() => void)[] = [];

  function isReady(): boolean {
    return isOver || underWay < (isClean ? MAX_UNDER_WAY : 1);
  }

  function wake(): void {
    if (!isReady()) return;
    const all = waiting;
    waiting = [];
    for (const resolve of all) resolve();
  }

  return {
    get isClean() {
      return isClean;
    },
    get areTaken() {
      return underWay >= (hasOverlapped ? MAX_UNDER_WAY : 1);
    },
    get underWay() {
      return underWay;
    },
    take() {
      underWay += 1;
    },
    giveBack() {
      underWay -= 1;
      wake();
    },
    judgedClean(clean) {
      isClean = clean && mayOverlap;
      hasOverlapped ||= isClean;
    },
    async ready() {
      while (!isReady()) await new Promise<void>((resolve) => waiting.push(resolve));
    },
    end() {
      isOver = true;
      wake();
    },
  };
}
