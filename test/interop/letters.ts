// A load of mail as a busy sender has it, drawn from a seed: contents of generated-mail.ts under envelopes of every
// kind, and several connections that submit it to an MTA. Each recipient has one letter, so that what arrives for it
// can be compared.

import assert from 'node:assert/strict';
import { connectRaw } from '../dialogs/sidecar-smtp-client.ts';
import { type Form, generateMail, type Random } from './generated-mail.ts';

export interface Letter {
  readonly form: Form;
  /** With CRLF at its end, which SMTP adds. */
  readonly content: Buffer;
  /** Parameters of MAIL and of each RCPT, with a blank in front; none when empty. */
  readonly mail: string;
  readonly sender: string;
  readonly recipients: readonly LetterRecipient[];
}

export interface LetterRecipient {
  readonly address: string;
  readonly rcpt: string;
}

export interface Load {
  readonly count: number;
  /** In front of every local part. */
  readonly name: string;
  readonly domains: readonly [string, ...string[]];
}

/** Of 200: one with 120 recipients, one of more than 4 MB, and every kind of envelope several times. */
export function drawLetters(random: Random, { count, name, domains }: Load): readonly Letter[] {
  return Array.from({ length: count }, (_, index) => {
    // One in a hundred has several MB; of 200 one is enough.
    const drawn = index === 14 ? 0 : index;
    const { form, content } = generateMail(random, drawn, Number.POSITIVE_INFINITY);
    const local = `${name}-${index}`;
    const domain = domains[index % domains.length] ?? domains[0];
    const plain: Letter = {
      form,
      content: withFinalCrlf(content),
      mail: ' BODY=8BITMIME',
      sender: 'alice@sender.test',
      recipients: [{ address: `${local}@${domain}`, rcpt: '' }],
    };
    // The largest are for one recipient.
    if (content.length > 1_000_000) return plain;
    if (index === 10) return { ...plain, recipients: many(local, domain, 120) };
    if (index % 20 === 5) return { ...plain, recipients: domains.flatMap((each) => many(local, each, 2)) };
    if (index % 20 === 8) return { ...plain, sender: '' };
    if (index % 10 === 3) return { ...plain, ...withDsnParameters(local, domain, index) };
    if (index % 25 === 6) return { ...plain, recipients: quoted(local, domain, index) };
    if (index % 25 === 9) {
      const recipients = [{ address: `${local}-jürgen.用户@${domain}`, rcpt: '' }];
      return { ...plain, mail: `${plain.mail} SMTPUTF8`, recipients };
    }
    return plain;
  });
}

function many(local: string, domain: string, count: number): readonly LetterRecipient[] {
  return Array.from({ length: count }, (_, index) => ({ address: `${local}-${index}@${domain}`, rcpt: '' }));
}

function quoted(local: string, domain: string, index: number): readonly LetterRecipient[] {
  const spelt = [`"${local} with blanks"`, `"${local}@inside"`, `"${local}\\"mark\\""`][index % 3];
  return [{ address: `${spelt}@${domain}`, rcpt: '' }];
}

/** As in RFC 3461: xtext in ENVID and ORCPT. */
function withDsnParameters(
  local: string,
  domain: string,
  index: number,
): Pick<Letter, 'mail' | 'recipients'> {
  const notify = ['NEVER', 'FAILURE', 'DELAY,FAILURE', 'DELAY,FAILURE,SUCCESS'][(index / 10) & 3] ?? 'NEVER';
  return {
    mail: ` BODY=8BITMIME ENVID=${local}+2Benvelope RET=${index % 20 === 3 ? 'HDRS' : 'FULL'}`,
    recipients: [
      { address: `${local}-a@${domain}`, rcpt: ` NOTIFY=${notify} ORCPT=rfc822;${local}+2Balias@old.test` },
      { address: `${local}-b@${domain}`, rcpt: ' NOTIFY=FAILURE' },
    ],
  };
}

/** SMTP ends the last line, whoever sends it. */
function withFinalCrlf(content: Buffer): Buffer {
  const ended = content.length === 0 || content.subarray(-2).equals(Buffer.from('\r\n'));
  return ended ? content : Buffer.concat([content, Buffer.from('\r\n')]);
}

/** Submits to an MTA at the port of 127.0.0.1, over so many connections at once. Rejects when it does not take all. */
export async function submitAll(
  port: number,
  letters: readonly Letter[],
  connections: number,
): Promise<void> {
  const waiting = [...letters];
  const work = async (): Promise<void> => {
    const client = await connectRaw(port);
    await client.say('EHLO client.example');
    for (let letter = waiting.shift(); letter !== undefined; letter = waiting.shift()) {
      const envelope = [
        `MAIL FROM:<${letter.sender}>${letter.mail}`,
        ...letter.recipients.map(({ address, rcpt }) => `RCPT TO:<${address}>${rcpt}`),
      ];
      client.write(`${[...envelope, 'DATA'].join('\r\n')}\r\n`);
      for (const command of envelope) assert.match(await client.reply(), /^250/, command);
      assert.match(await client.reply(), /^354/);
      const lines = `\r\n${letter.content.toString('latin1')}`;
      client.write(Buffer.from(`${lines.replaceAll('\r\n.', '\r\n..').slice(2)}.\r\n`, 'latin1'));
      assert.match(await client.reply(), /^250/);
    }
    await client.say('QUIT');
    client.socket.destroy();
  };
  await Promise.all(Array.from({ length: connections }, work));
}
