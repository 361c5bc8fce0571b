// Content that is too large for memory, in files without a name: made for their owner alone and unlinked at once, so
// that they end with the process however it ends. Between both calls a file of no octets has a name; only a kill in
// that moment leaves it behind. How much may lie on the disk is bounded.

import { randomUUID } from 'node:crypto';
import { type FileHandle, open, unlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** As Max_Scratch_Bytes has it: eighty messages of the largest size that a receiver takes by default. */
export const DEFAULT_SCRATCH_BYTES = 4 * 1024 * 1024 * 1024;

/** What may be written at once, and where. */
export class ScratchSpace {
  readonly directory: string;
  #limitBytes: number;
  #heldBytes = 0;
  #files = 0;

  constructor(limitBytes = DEFAULT_SCRATCH_BYTES, directory = tmpdir()) {
    this.#limitBytes = limitBytes;
    this.directory = directory;
  }

  get limitBytes(): number {
    return this.#limitBytes;
  }

  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** Files that are open. */
  get files(): number {
    return this.#files;
  }

  fits(sizeBytes: number): boolean {
    return this.#heldBytes + sizeBytes <= this.#limitBytes;
  }

  /** A reload changed the limit. What is held stays held, also beyond the new one. */
  resize(limitBytes: number): void {
    this.#limitBytes = limitBytes;
  }

  /** A file that is made at its first `append`. */
  file(): ScratchFile {
    this.#files += 1;
    return new ScratchFile(this.directory, {
      take: (sizeBytes) => {
        const fits = this.fits(sizeBytes);
        if (fits) this.#heldBytes += sizeBytes;
        return fits;
      },
      giveBack: (sizeBytes) => {
        this.#heldBytes -= sizeBytes;
        this.#files -= 1;
      },
    });
  }
}

interface Share {
  /** False, and nothing taken, when it does not fit. */
  take(sizeBytes: number): boolean;
  /** All that was taken, once. */
  giveBack(sizeBytes: number): void;
}

/** Written once from its start to its end, and read as often as asked. */
export class ScratchFile {
  readonly #directory: string;
  readonly #share: Share;
  #handle: Promise<FileHandle> | undefined;
  #takenBytes = 0;
  #writtenBytes = 0;
  #users = 0;
  #released = false;

  constructor(directory: string, share: Share) {
    this.#directory = directory;
    this.#share = share;
  }

  /** False, and nothing taken, when the space is full. */
  take(sizeBytes: number): boolean {
    const taken = this.#share.take(sizeBytes);
    if (taken) this.#takenBytes += sizeBytes;
    return taken;
  }

  /** One call after the other. Rejects with the system's error. */
  async append(pieces: readonly Buffer[]): Promise<void> {
    await this.#use(async (handle) => {
      let rest = [...pieces];
      while (rest.length > 0) {
        const { bytesWritten } = await handle.writev(rest, this.#writtenBytes);
        this.#writtenBytes += bytesWritten;
        rest = behind(rest, bytesWritten);
      }
    });
  }

  /** What was appended before. Rejects with the system's error. */
  async *read(): AsyncGenerator<Buffer> {
    const handle = await this.#enter();
    try {
      const endBytes = this.#writtenBytes;
      for (let position = 0; position < endBytes; ) {
        const buffer = Buffer.allocUnsafeSlow(Math.min(READ_BYTES, endBytes - position));
        const { bytesRead } = await handle.read(buffer, 0, buffer.length, position);
        if (bytesRead === 0) throw new Error('a file without a name became shorter');
        position += bytesRead;
        yield buffer.subarray(0, bytesRead);
      }
    } finally {
      this.#leave();
    }
  }

  /** The descriptor is closed once nobody reads or writes; may be called twice. */
  release(): void {
    if (this.#released) return;
    this.#released = true;
    this.#share.giveBack(this.#takenBytes);
    this.#closeWhenIdle();
  }

  async #use(action: (handle: FileHandle) => Promise<void>): Promise<void> {
    const handle = await this.#enter();
    try {
      await action(handle);
    } finally {
      this.#leave();
    }
  }

  #enter(): Promise<FileHandle> {
    if (this.#released) throw new Error('the file was released');
    this.#users += 1;
    this.#handle ??= openUnnamed(this.#directory);
    return this.#handle.catch((error: unknown) => {
      this.#leave();
      throw error;
    });
  }

  #leave(): void {
    this.#users -= 1;
    this.#closeWhenIdle();
  }

  #closeWhenIdle(): void {
    if (!this.#released || this.#users > 0 || this.#handle === undefined) return;
    const handle = this.#handle;
    this.#handle = undefined;
    // Nobody uses it any more, so that nobody could be told of a fault.
    handle.then((opened) => opened.close()).catch(() => undefined);
  }
}

const READ_BYTES = 65_536;

async function openUnnamed(directory: string): Promise<FileHandle> {
  const path = join(directory, `delay-xfer-${randomUUID()}`);
  const handle = await open(path, 'wx+', 0o600);
  try {
    await unlink(path);
    return handle;
  } catch (error) {
    await handle.close();
    throw error;
  }
}

// What a write that took only so much has left.
function behind(pieces: readonly Buffer[], writtenBytes: number): Buffer[] {
  let skipBytes = writtenBytes;
  return pieces.flatMap((piece) => {
    const skip = Math.min(skipBytes, piece.length);
    skipBytes -= skip;
    return skip === piece.length ? [] : [piece.subarray(skip)];
  });
}
