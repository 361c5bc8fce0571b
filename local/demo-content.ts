// The contents that the demo sends: real messages, each hard in its own way. All end in CRLF, so that what arrives
// can be compared octet for octet.

/** `run` makes contents, and so derived ids, differ from run to run. */
export interface Letter {
  readonly run: string;
  readonly number: number;
  readonly subject: string;
  readonly atMs: number;
}

const CRLF = '\r\n';

export function plainContent(letter: Letter, ...lines: readonly string[]): Buffer {
  const body = lines.length > 0 ? lines : ['It was deferred once, and it arrived all the same.'];
  return Buffer.from([...headers(letter), '', ...body, ''].join(CRLF), 'utf8');
}

/** Latin 1, as mail of 1995 has it: not UTF-8. */
export function latin1Content(letter: Letter): Buffer {
  const lines = ['Content-Type: text/plain; charset=iso-8859-1', 'Content-Transfer-Encoding: 8bit', ''];
  const body = ['Grüße aus Köln, señor: déjà vu £ ¥ ß', ''];
  return Buffer.from([...headers(letter), ...lines, ...body].join(CRLF), 'latin1');
}

/** Lines that SMTP stuffs, among them one that is a dot alone. */
export function dottedContent(letter: Letter): Buffer {
  return plainContent(letter, '.', '..', '.hidden', '...and so on', 'x.', '.');
}

/** RFC 5322 §2.1.1 allows 998 characters; mail does not care. */
export function longLineContent(letter: Letter): Buffer {
  return plainContent(letter, 'long '.repeat(2_000), `.${'0123456789'.repeat(10_000)}`, 'short');
}

export function binaryContent(letter: Letter): Buffer {
  const octets = Buffer.from(
    Array.from({ length: 256 }, (_, octet) => octet).filter((o) => o !== 13 && o !== 10),
  );
  return Buffer.concat([plainContent(letter, 'Every octet but CR and LF:'), octets, Buffer.from(CRLF)]);
}

export function headersOnlyContent(letter: Letter): Buffer {
  return Buffer.from([...headers(letter), ''].join(CRLF), 'utf8');
}

/** A MIME message with an attachment of about this many octets, in base64. */
export function attachmentContent(letter: Letter, sizeBytes: number): Buffer {
  const boundary = `part-${letter.run}`;
  const line = Buffer.from(`${Buffer.alloc(57, letter.number).toString('base64')}${CRLF}`, 'latin1');
  const lines = Math.ceil(sizeBytes / line.length);
  const before = [
    ...headers(letter),
    'MIME-Version: 1.0',
    `Content-Type: multipart/mixed; boundary="${boundary}"`,
    '',
    `--${boundary}`,
    'Content-Type: text/plain',
    '',
    'The file is attached.',
    `--${boundary}`,
    'Content-Type: application/octet-stream; name=large.bin',
    'Content-Transfer-Encoding: base64',
    '',
    '',
  ];
  const after = [`--${boundary}--`, ''];
  return Buffer.concat([
    Buffer.from(before.join(CRLF), 'latin1'),
    ...Array.from({ length: lines }, () => line),
    Buffer.from(after.join(CRLF), 'latin1'),
  ]);
}

/** A DKIM-signed look: the order and folding of headers must survive. */
export function signedContent(letter: Letter): Buffer {
  const signature = [
    'DKIM-Signature: v=1; a=rsa-sha256; c=simple/simple; d=sender.test; s=demo;',
    '\th=From:To:Subject:Date; bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=;',
    '\tb=dGhpcyBpcyBub3QgYSByZWFsIHNpZ25hdHVyZSwgYnV0IGl0IGxvb2tzIGxpa2Ugb25l',
  ];
  return Buffer.from([...signature, ...headers(letter), '', 'Signed.', '', '', ''].join(CRLF), 'latin1');
}

function headers({ run, number, subject, atMs }: Letter): string[] {
  return [
    'From: Demo <demo@sender.test>',
    `Subject: ${subject}`,
    `Date: ${new Date(atMs).toUTCString().replace('GMT', '+0000')}`,
    `Message-ID: <${number}.${run}@sender.test>`,
  ];
}
