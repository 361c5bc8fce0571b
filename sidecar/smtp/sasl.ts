// AUTH PLAIN (RFC 4616) and LOGIN, each with or without an initial response (RFC 4954 §4): what the client says,
// until it has told a name and a password or given up.

import { ownReply, type Reply } from '../../shared/smtp/reply.ts';

export type SaslStep =
  /** Say 334 and the text, and hand the client's next line on. */
  | { readonly kind: 'challenge'; readonly text: string; answer(line: string): SaslStep }
  | { readonly kind: 'credentials'; readonly name: string; readonly password: string }
  | { readonly kind: 'refused'; readonly reply: Reply };

export const MECHANISMS = ['PLAIN', 'LOGIN'] as const;

/** What follows AUTH. */
export function beginSasl(rest: string): SaslStep {
  const [mechanism = '', initial, ...more] = rest.split(/\s+/);
  if (mechanism === '' || more.length > 0) return refused(501, '5.5.4', 'write AUTH PLAIN or AUTH LOGIN');
  // RFC 4954 §4: a lone = is an initial response of no octets.
  const response = initial === '=' ? '' : initial;
  switch (mechanism.toUpperCase()) {
    case 'PLAIN':
      return response === undefined ? challenge('', readPlain) : readPlain(response);
    case 'LOGIN':
      return response === undefined ? challenge('Username:', readLoginName) : readLoginName(response);
    default:
      return refused(504, '5.5.4', `known mechanisms are ${MECHANISMS.join(' and ')}`);
  }
}

// `authorize-as NUL name NUL password`; nobody acts for anybody else here.
function readPlain(response: string): SaslStep {
  const [authorizeAs, name, password, ...more] = decode(response)?.split('\0') ?? [];
  if (authorizeAs === undefined || name === undefined || password === undefined || more.length > 0)
    return MALFORMED;
  if (authorizeAs !== '' && authorizeAs !== name) {
    return refused(535, '5.7.8', 'nobody may act for somebody else');
  }
  return { kind: 'credentials', name, password };
}

function readLoginName(response: string): SaslStep {
  const name = decode(response);
  if (name === undefined) return MALFORMED;
  return challenge('Password:', (line) => {
    const password = decode(line);
    return password === undefined ? MALFORMED : { kind: 'credentials', name, password };
  });
}

function challenge(text: string, next: (response: string) => SaslStep): SaslStep {
  return {
    kind: 'challenge',
    text: Buffer.from(text, 'utf8').toString('base64'),
    answer: (line) => (line === '*' ? CANCELLED : next(line)),
  };
}

function decode(base64: string): string | undefined {
  if (base64.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(base64)) return undefined;
  return Buffer.from(base64, 'base64').toString('utf8');
}

function refused(code: number, enhanced: string, text: string): SaslStep {
  return { kind: 'refused', reply: ownReply(code, enhanced, text) };
}

const MALFORMED = refused(501, '5.5.2', 'the response is not written as its mechanism has it');
const CANCELLED = refused(501, '5.7.0', 'cancelled');
