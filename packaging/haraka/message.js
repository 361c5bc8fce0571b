// A queued mail of Haraka as a message of XFER/1: its header, and its content as often as asked. Haraka's queue files
// hold content as SMTP carries it, with a dot in front of every line that begins with one; these are taken off.

const { createHash } = require('node:crypto');
const { hostname } = require('node:os');

const DOT = 0x2e;
const LF = 0x0a;
const HOST_NAME =
  /^(?=.{1,255}$)[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?(?:\.[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?)*$/;

exports.isHostName = (name) => typeof name === 'string' && HOST_NAME.test(name);

exports.hostName = () => (exports.isHostName(hostname()) ? hostname() : 'localhost');

exports.messageOf = async (hmail, me) => {
  const { todo } = hmail;
  const sender = mailbox(todo.mail_from);
  const recipients = todo.rcpt_to.map(mailbox);
  const { sizeBytes, sha256 } = await measured(hmail);
  return {
    header: {
      id: idOf(todo, sender, recipients),
      sender,
      recipients,
      sizeBytes,
      sha256,
      receivedAt: new Date(todo.queue_time).toISOString(),
      receivedFrom: me,
      attempts: hmail.num_failures,
      lastReply: lastReplyOf(todo.rcpt_to),
    },
    content: () => contentOf(hmail),
  };
};

/** The same for every attempt at the same recipients of the same transaction, and for no other mail. */
function idOf(todo, sender, recipients) {
  const identity = [todo.uuid, todo.queue_time, sender, recipients.toSorted()];
  return createHash('sha256').update(JSON.stringify(identity)).digest('base64url');
}

/** Without angle brackets, quoted where it must be; '' is the null path. */
function mailbox(address) {
  return address.format().replace(/^<(.*)>$/s, '$1');
}

/** What the destination said last; undefined when it said nothing, such as when nobody answers there. */
function lastReplyOf([first]) {
  const code = Number(first?.dsn_smtp_code);
  if (!Number.isInteger(code) || code < 400 || code > 599) return undefined;
  const status = String(first.dsn_status ?? '');
  const enhanced = new RegExp(`^${String(code)[0]}\\.\\d{1,3}\\.\\d{1,3}$`).test(status) ? status : undefined;
  const host = exports.isHostName(first.dsn_remote_mta) ? first.dsn_remote_mta : undefined;
  return { code, enhanced, text: String(first.dsn_smtp_response ?? ''), host };
}

async function measured(hmail) {
  const hash = createHash('sha256');
  let sizeBytes = 0;
  for await (const piece of contentOf(hmail)) {
    hash.update(piece);
    sizeBytes += piece.length;
  }
  return { sizeBytes, sha256: hash.digest('hex') };
}

async function* contentOf(hmail) {
  let atLineStart = true;
  for await (const chunk of hmail.data_stream()) {
    let from = 0;
    let line = atLineStart ? 0 : chunk.indexOf(LF) + 1;
    while ((line > 0 || atLineStart) && line < chunk.length) {
      if (chunk[line] === DOT) {
        if (line > from) yield chunk.subarray(from, line);
        from = line + 1;
      }
      atLineStart = false;
      line = chunk.indexOf(LF, line) + 1;
    }
    if (from < chunk.length) yield chunk.subarray(from);
    atLineStart = chunk[chunk.length - 1] === LF;
  }
}
