// The extensions that a peer announced in its reply to EHLO (RFC 5321 §4.1.1.1). Keywords count only at the
// start of a line, so that a host's name or a greeting never passes for an extension.

export interface PeerExtensions {
  /** In capitals: `PIPELINING`, `8BITMIME`, `SMTPUTF8`, `DSN`, `STARTTLS`, `REQUIRETLS`, ... */
  readonly keywords: ReadonlySet<string>;
  /** RFC 1870: the largest message that the peer takes; absent when it named no limit, or 0. */
  readonly sizeLimitBytes?: number;
}

/** What a peer that was greeted with HELO offers. */
export const NO_EXTENSIONS: PeerExtensions = { keywords: new Set() };

/** `reply` is the whole reply to EHLO, codes included, its lines ended by LF or CRLF. */
export function parseEhlo(reply: string): PeerExtensions {
  const keywords = new Set<string>();
  let sizeLimitBytes: number | undefined;
  for (const line of reply.split('\n').slice(1)) {
    const [keyword = '', ...parameters] = line
      .replace(/^\d{3}[ -]?/, '')
      .trim()
      .toUpperCase()
      .split(/[ \t]+/);
    if (keyword === '') continue;
    keywords.add(keyword);
    if (keyword === 'SIZE') sizeLimitBytes = parseSizeLimit(parameters[0]);
  }
  return sizeLimitBytes === undefined ? { keywords } : { keywords, sizeLimitBytes };
}

/** RFC 1870 §4: up to twenty digits; 0 means that no fixed limit is in force. */
function parseSizeLimit(parameter: string | undefined): number | undefined {
  if (parameter === undefined || !/^\d{1,20}$/.test(parameter)) return undefined;
  const limit = Number(parameter);
  return limit === 0 ? undefined : limit;
}
