// How much content may be held at once. Everything that holds content asks first and gives back after, so that
// memory stays bounded under any load.

import { ScratchSpace } from './scratch-space.ts';

export class MemoryBudget {
  /** Where content goes that is too large for memory. */
  readonly scratch: ScratchSpace;
  #limitBytes: number;
  #heldBytes = 0;

  constructor(limitBytes: number, scratch = new ScratchSpace()) {
    this.#limitBytes = limitBytes;
    this.scratch = scratch;
  }

  get limitBytes(): number {
    return this.#limitBytes;
  }

  /** A reload changed Max_Held_Bytes. What is held stays held, also beyond the new limit. */
  resize(limitBytes: number): void {
    this.#limitBytes = limitBytes;
  }

  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** False, and nothing taken, when it does not fit. */
  take(sizeBytes: number): boolean {
    if (!this.fits(sizeBytes)) return false;
    this.#heldBytes += sizeBytes;
    return true;
  }

  fits(sizeBytes: number): boolean {
    return this.#heldBytes + sizeBytes <= this.limitBytes;
  }

  release(sizeBytes: number): void {
    this.#heldBytes -= sizeBytes;
    if (this.#heldBytes < 0) throw new Error('more content was released than was held');
  }
}
