// Values of the parameters of MAIL and RCPT that stand for more than themselves: DSN's (RFC 3461, and RFC 6533 for
// addresses in UTF-8), and xtext. A reader answers undefined for what is not written as its RFC has it.

import type { NotifyCondition } from '../../shared/message/envelope.ts';
import { MAX_ENVID_CHARACTERS, MAX_ORCPT_CHARACTERS } from '../../shared/xfer/limits.ts';

/** NEVER stands alone; the order is kept. */
export function readNotify(value: string): readonly NotifyCondition[] | undefined {
  const conditions = new Set<NotifyCondition>();
  for (const word of value.toUpperCase().split(',')) {
    const condition = CONDITIONS.find((known) => known === word);
    if (condition === undefined) return undefined;
    conditions.add(condition);
  }
  return conditions.has('NEVER') && conditions.size > 1 ? undefined : [...conditions];
}

/** `addr-type;address` with the address decoded, as the envelope has it. */
export function readOrcpt(value: string): string | undefined {
  const semicolon = value.indexOf(';');
  const type = value.slice(0, Math.max(semicolon, 0));
  if (!/^[A-Za-z0-9-]+$/.test(type)) return undefined;
  const written = value.slice(semicolon + 1);
  const address = type.toLowerCase() === 'utf-8' ? decodeUtf8Address(written) : decodeXtext(written);
  if (address === undefined || !/^[^\p{Cc}\p{Cs}]+$/u.test(address)) return undefined;
  const orcpt = `${type};${address}`;
  return orcpt.length <= MAX_ORCPT_CHARACTERS ? orcpt : undefined;
}

export function readEnvid(value: string): string | undefined {
  const envid = decodeXtext(value);
  if (envid === undefined || envid.length > MAX_ENVID_CHARACTERS) return undefined;
  return /^[\x20-\x7e]+$/.test(envid) ? envid : undefined;
}

/**
 * RFC 3461 §4: `+` and two upper-case hex digits stand for an octet. Octets beyond US-ASCII are read as UTF-8, or
 * one by one where they are none. Undefined when a `+` stands otherwise.
 */
export function decodeXtext(text: string): string | undefined {
  if (!text.includes('+')) return text;
  if (/\+(?![0-9A-F]{2})/.test(text)) return undefined;
  return text.replace(/(?:\+[0-9A-F]{2})+/g, (encoded) => {
    const octets = Buffer.from(encoded.replaceAll('+', ''), 'hex');
    const decoded = octets.toString('utf8');
    return decoded.includes('\ufffd') ? octets.toString('latin1') : decoded;
  });
}

const CONDITIONS: readonly NotifyCondition[] = ['NEVER', 'SUCCESS', 'FAILURE', 'DELAY'];

// RFC 6533 §3: characters stand for themselves, or as their code point in `\x{…}`.
function decodeUtf8Address(text: string): string | undefined {
  if (/\\(?!x\{(?:10|[0-9A-F])?[0-9A-F]{1,4}\})/.test(text)) return undefined;
  return text.replace(/\\x\{([0-9A-F]+)\}/g, (_, hex: string) =>
    String.fromCodePoint(Number.parseInt(hex, 16)),
  );
}
