// The files that a listener's options name: its certificate and key, and its users. Read when the sidecar starts and
// again at each reload. Every fault is told with the line of the option that names the file; no secret is shown.

import { createHash } from 'node:crypto';
import { statSync } from 'node:fs';
import type { KnownUsers } from '../shared/access/password.ts';
import type { Setting } from '../shared/config/configuration.ts';
import { type Fault, formatFault, type Place } from '../shared/config/fault.ts';
import { pathWritten } from '../shared/config/named-files.ts';
import { readText } from '../shared/files/read-text.ts';
import type { ListenerTls } from './smtp/settings.ts';
import { readListenerTls } from './smtp/tls.ts';
import { readUsers } from './smtp/users.ts';

/** What decides for one Listen stanza; undefined where nothing is written. */
export interface FileSettings {
  readonly certificate: Setting | undefined;
  readonly key: Setting | undefined;
  readonly users: Setting | undefined;
  /** TLS_Required, when it is true. */
  readonly required: Setting | undefined;
}

export interface ListenerFiles {
  readonly tls: ListenerTls | undefined;
  readonly users: KnownUsers | undefined;
  /** By path: changes when the file's content does. */
  readonly digests: ReadonlyMap<string, string>;
}

export interface FilesReading {
  readonly files: ListenerFiles;
  /** As they are printed. */
  readonly faults: readonly string[];
  readonly warnings: readonly string[];
}

export function readListenerFiles(settings: FileSettings, nowMs: number): FilesReading {
  const reading = new Reading(nowMs);
  const tls = reading.tls(settings);
  const users = reading.users(settings.users);
  return {
    files: { tls, users, digests: reading.digests },
    faults: reading.faults.map(formatFault),
    warnings: reading.warnings.map(({ place, message }) => `${place.file}:${place.line}: ${message}`),
  };
}

/** One Listen stanza's files, as far as they have been read. */
class Reading {
  readonly faults: Fault[] = [];
  readonly warnings: Fault[] = [];
  readonly digests = new Map<string, string>();
  readonly #nowMs: number;

  constructor(nowMs: number) {
    this.#nowMs = nowMs;
  }

  tls({ certificate, key, required }: FileSettings): ListenerTls | undefined {
    // One without the other, checkSending tells.
    if (certificate === undefined || key === undefined) return undefined;
    const [certificatePem, keyPem] = [this.#text(certificate), this.#text(key)];
    if (certificatePem === undefined || keyPem === undefined) return undefined;
    const read = readListenerTls(certificatePem, keyPem, this.#nowMs);
    if (!read.ok) {
      const blamed = read.file === 'key' ? key : certificate;
      this.#fault(blamed.place, `${blamed.option.name}: ${pathWritten(blamed)}: ${read.message}`);
      return undefined;
    }
    if (read.warning !== undefined) this.#warn(certificate.place, `TLS_Certificate: ${read.warning}`);
    this.#warnOfOthers(key);
    return { context: read.context, required: required !== undefined };
  }

  users(setting: Setting | undefined): KnownUsers | undefined {
    const text = this.#text(setting);
    if (setting === undefined || text === undefined) return undefined;
    const read = readUsers(text);
    if (read.ok) return read.verifier;
    const message = `Auth_Users: ${pathWritten(setting)}:${read.line}: ${read.message}`;
    this.faults.push({ place: setting.place, message, mend: read.mend });
    return undefined;
  }

  #warnOfOthers(setting: Setting): void {
    const path = pathWritten(setting);
    const mode = path === undefined ? 0 : statSync(path).mode;
    if ((mode & 0o004) !== 0)
      this.#warn(setting.place, `TLS_Key: every user of this machine can read ${path}`);
  }

  #text(setting: Setting | undefined): string | undefined {
    const path = pathWritten(setting);
    if (setting === undefined || path === undefined) return undefined;
    const read = readText(path);
    if (!read.ok) {
      this.#fault(setting.place, `${setting.option.name}: ${path} ${read.refused}`);
      return undefined;
    }
    this.digests.set(path, createHash('sha256').update(read.text).digest('hex'));
    return read.text;
  }

  #fault(place: Place, message: string): void {
    this.faults.push({ place, message });
  }

  #warn(place: Place, message: string): void {
    this.warnings.push({ place, message });
  }
}
