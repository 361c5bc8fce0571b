// The regular expressions that an operator writes for replies.

/**
 * With Unicode where that can be read. It allows no escape of a character that means nothing special (`a\-b`), which
 * expressions from elsewhere often have: those are read without it. Throws SyntaxError.
 */
export function replyExpression(source: string): RegExp {
  try {
    return new RegExp(source, 'u');
  } catch {
    return new RegExp(source);
  }
}
