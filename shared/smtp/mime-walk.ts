// Walks through the entities of a message (RFC 2045, 2046), line by line, without holding more than one header
// or one line: what is a header, what is the body of which part, where a part ends. Pure. Octets pass as they are;
// header fields are read as Latin-1, which keeps every octet.
//
// Limits, beyond which `MimeError` is thrown: headers of 256 KiB, lines of 1 MiB, parts nested 32 deep.

export class MimeError extends Error {
  readonly code = 'MIME_UNFIT';
}

export interface Entity {
  /** In the order of their headers; the message itself is 0. */
  readonly ordinal: number;
  /** Lines with their ends, without the empty one behind them. */
  readonly header: readonly Buffer[];
  /** In lower case; RFC 2046's default when the header does not say. */
  readonly type: string;
  readonly hasType: boolean;
  /** Content-Transfer-Encoding in lower case, `7bit` when the header does not say. */
  readonly encoding: string;
  /** `container`: a multipart, whose body is preamble, parts and epilogue; or a message/rfc822, whose body is one. */
  readonly kind: 'leaf' | 'container';
  readonly parents: readonly Entity[];
}

export interface MimeVisitor {
  /** `blank`: the empty line behind the header; undefined when the message ends, or a boundary comes, without one. */
  header(entity: Entity, blank: Buffer | undefined): void;
  /** A line of a leaf's body, with its end. */
  body(leaf: Entity, line: Buffer): void;
  /** A boundary, a preamble or an epilogue. */
  between(line: Buffer): void;
  /** The body of the leaf is over; the end of its last line belongs to the boundary, when one follows. */
  leafEnded(leaf: Entity, isBeforeBoundary: boolean): void;
}

const MAX_HEADER_BYTES = 262_144;
const MAX_LINE_BYTES = 1_048_576;
const MAX_DEPTH = 32;

interface Multipart {
  readonly entity: Entity;
  readonly boundary: string;
}

export function createMimeWalk(visitor: MimeVisitor): { push(piece: Uint8Array): void; end(): void } {
  let partial: Buffer[] = [];
  let partialBytes = 0;
  let entities = 0;
  let header: Buffer[] | undefined = [];
  let headerBytes = 0;
  let parents: readonly Entity[] = [];
  let multiparts: readonly Multipart[] = [];
  let leaf: Entity | undefined;

  function beginHeader(within: readonly Entity[]): void {
    if (within.length > MAX_DEPTH) throw new MimeError('its parts are nested too deep');
    parents = within;
    header = [];
    headerBytes = 0;
    leaf = undefined;
  }

  function endHeader(blank: Buffer | undefined): void {
    const entity = read(header ?? [], entities++, parents);
    header = undefined;
    visitor.header(entity, blank);
    if (entity.kind === 'leaf') leaf = entity;
    else if (entity.type === 'message/rfc822') beginHeader([...parents, entity]);
    else multiparts = [...multiparts, { entity, boundary: boundaryOf(entity.header) ?? '' }];
  }

  function endLeaf(isBeforeBoundary: boolean): void {
    // The header of a message within a message may end without an empty line, once or more often.
    while (header !== undefined) endHeader(undefined);
    if (leaf !== undefined) visitor.leafEnded(leaf, isBeforeBoundary);
    leaf = undefined;
  }

  function boundaryAt(line: Buffer): { depth: number; isLast: boolean } | undefined {
    if (line[0] !== DASH || line[1] !== DASH || multiparts.length === 0) return undefined;
    let end = line.length;
    while (BLANKS.has(line[end - 1] ?? 0)) end -= 1;
    const text = line.toString('latin1', 0, end);
    for (let depth = multiparts.length - 1; depth >= 0; depth--) {
      const delimiter = `--${multiparts[depth]?.boundary}`;
      if (text === delimiter || text === `${delimiter}--`) return { depth, isLast: text !== delimiter };
    }
    return undefined;
  }

  function take(line: Buffer): void {
    const boundary = boundaryAt(line);
    if (boundary !== undefined) {
      endLeaf(true);
      const at = multiparts[boundary.depth];
      multiparts = multiparts.slice(0, boundary.isLast ? boundary.depth : boundary.depth + 1);
      visitor.between(line);
      if (!boundary.isLast && at !== undefined) beginHeader([...at.entity.parents, at.entity]);
    } else if (header !== undefined) {
      if (line.length <= 2 && /^\r?\n?$/.test(line.toString('latin1'))) endHeader(line);
      else {
        headerBytes += line.length;
        if (headerBytes > MAX_HEADER_BYTES) throw new MimeError('a header is too long');
        header.push(line);
      }
    } else if (leaf !== undefined) visitor.body(leaf, line);
    else visitor.between(line);
  }

  return {
    push(piece) {
      const octets = Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength);
      let from = 0;
      for (let at = octets.indexOf(LF); at !== -1; at = octets.indexOf(LF, from)) {
        const rest = octets.subarray(from, at + 1);
        from = at + 1;
        const line = partial.length === 0 ? rest : Buffer.concat([...partial, rest]);
        partial = [];
        partialBytes = 0;
        take(line);
      }
      if (from === octets.length) return;
      partialBytes += octets.length - from;
      if (partialBytes > MAX_LINE_BYTES) throw new MimeError('a line is too long');
      partial.push(Buffer.from(octets.subarray(from)));
    },
    end() {
      if (partial.length > 0) take(Buffer.concat(partial));
      endLeaf(false);
    },
  };
}

const LF = 0x0a;
const BLANKS: ReadonlySet<number> = new Set([0x20, 0x09, 0x0d, 0x0a]);
const DASH = 0x2d;

function read(header: readonly Buffer[], ordinal: number, parents: readonly Entity[]): Entity {
  const type = fieldOf(header, 'content-type');
  const named = /^\s*([!#$%&'*+.^_`|~\w-]+\/[!#$%&'*+.^_`|~\w-]+)/.exec(type ?? '')?.[1]?.toLowerCase();
  const encoding = fieldOf(header, 'content-transfer-encoding')?.trim().toLowerCase() ?? '7bit';
  const isIdentity = IDENTITIES.has(encoding);
  const byDefault = parents.at(-1)?.type === 'multipart/digest' ? 'message/rfc822' : 'text/plain';
  const kindOf = named ?? byDefault;
  const isMultipart = named?.startsWith('multipart/') === true && (boundaryOf(header) ?? '') !== '';
  return {
    ordinal,
    header,
    type: kindOf,
    hasType: type !== undefined,
    encoding,
    kind: isIdentity && (isMultipart || kindOf === 'message/rfc822') ? 'container' : 'leaf',
    parents,
  };
}

/** Encodings that leave octets as they are. */
export const IDENTITIES: ReadonlySet<string> = new Set(['7bit', '8bit', 'binary']);

/** The value of the first field of that name, unfolded. */
export function fieldOf(header: readonly Buffer[], name: string): string | undefined {
  const at = header.findIndex((line) => isField(line, name));
  if (at === -1) return undefined;
  let text = String(header[at]?.toString('latin1')).slice(name.length);
  for (const line of header.slice(at + 1)) {
    if (line[0] !== 0x20 && line[0] !== 0x09) break;
    text += line.toString('latin1');
  }
  return text.slice(text.indexOf(':') + 1).replaceAll(/[\r\n]+/g, '');
}

/** `name` in lower case. */
export function isField(line: Buffer, name: string): boolean {
  const text = line.toString('latin1', 0, name.length + 32).toLowerCase();
  return text.startsWith(name) && /^[ \t]*:/.test(text.slice(name.length));
}

function boundaryOf(header: readonly Buffer[]): string | undefined {
  const parameter = /;\s*boundary\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;]+))/i.exec(
    fieldOf(header, 'content-type') ?? '',
  );
  return parameter?.[1]?.replaceAll(/\\(.)/g, '$1') ?? parameter?.[2];
}
