// Cipher lists that the OpenSSL of this machine can make nothing of: every delivery over TLS would fail.

import { createSecureContext } from 'node:tls';
import type { Configuration } from '../config/configuration.ts';
import { type Fault, shown } from '../config/fault.ts';
import { deliverySettingsWritten } from '../config/named-files.ts';
import { OPTIONS } from '../config/options.ts';

export function cipherFaults(configuration: Configuration): readonly Fault[] {
  const known = new Map<string, boolean>();
  return deliverySettingsWritten(configuration).flatMap((settings) => {
    const value = settings.get(OPTIONS.TLS_Ciphers.name)?.value;
    if (value?.kind !== 'scalar') return [];
    const isKnown = known.get(value.text) ?? isCipherList(value.text);
    known.set(value.text, isKnown);
    if (isKnown) return [];
    const message = `TLS_Ciphers: OpenSSL knows no cipher of ${shown(value.text)}`;
    return [{ place: value.place, message, mend: 'write a list like "DEFAULT:!LOW"' }];
  });
}

function isCipherList(ciphers: string): boolean {
  try {
    createSecureContext({ ciphers });
    return true;
  } catch {
    return false;
  }
}
