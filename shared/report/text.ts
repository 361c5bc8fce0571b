// Text that was said by others, made fit for the lines of a report.

export function isAscii(text: string): boolean {
  return /^[\0-\x7f]*$/.test(text);
}

/** Controls but LF become `?`: none may end a line or a field. */
export function withoutControls(text: string): string {
  return text.replaceAll('\r', '').replaceAll(/[^\P{Cc}\n]/gu, '?');
}

/** Characters beyond US-ASCII as `\x{…}`, as RFC 6533 writes them in addresses. */
export function asciiOnly(text: string): string {
  return text.replaceAll(
    /[^\0-\x7f]/gu,
    (character) => `\\x{${(character.codePointAt(0) ?? 0).toString(16).toUpperCase()}}`,
  );
}
