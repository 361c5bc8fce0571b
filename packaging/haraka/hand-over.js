// The hand-over by XFER/1 (docs/xfer-protocol.md), and what its answer means. `taken`: the other side answers for the
// mail. `kept`: nothing was taken. `doubt`: it may have been, and the mail has to be withdrawn before anybody else
// may try it.

const http = require('node:http');
const https = require('node:https');

const FRAMES = 'application/vnd.delay-xfer.v1';
const MAX_ANSWER_BYTES = 1_048_576;

exports.handOver = async (settings, { header, content }) => {
  const line = Buffer.from(`${JSON.stringify(header)}\n`);
  const answer = await ask(settings, {
    method: 'POST',
    url: settings.url,
    timeoutMs: settings.timeoutMs,
    headers: {
      'content-type': FRAMES,
      'content-length': line.length + header.sizeBytes,
      'x-xfer-patience-ms': settings.timeoutMs,
    },
    async *body() {
      yield line;
      yield* content();
    },
  });
  if (answer.kind === 'unsent') return { kind: 'kept', text: answer.text };
  if (answer.kind === 'lost') return { kind: 'doubt', text: answer.text };
  const { status, json } = answer;
  const verdict = listed(json).find((one) => one?.id === header.id);
  if (status === 200 && (verdict?.status === 'accepted' || verdict?.status === 'duplicate')) {
    return { kind: 'taken', text: verdict.status };
  }
  if ((status === 200 || status === 422) && verdict?.status === 'refused') {
    const { code, enhanced, text } = verdict.reply ?? {};
    return { kind: 'kept', text: [code, enhanced, text].filter((part) => part !== undefined).join(' ') };
  }
  const text = [`HTTP ${status}`, json.code, json.detail].filter((part) => part !== undefined).join(' ');
  const untaken = (status >= 300 && status < 500) || json.code === 'unavailable' || json.code === 'too-busy';
  return { kind: untaken ? 'kept' : 'doubt', text };
};

/** Takes back what may have been taken. `kept` here: Haraka may try the mail itself. */
exports.withdraw = async (settings, id) => {
  const url = new URL(settings.url);
  url.pathname = `${url.pathname.replace(/\/$/, '')}/${id}`;
  const answer = await ask(settings, {
    method: 'DELETE',
    url,
    timeoutMs: settings.withdrawalMs,
    headers: {},
  });
  if (answer.kind !== 'answer') return { kind: 'kept', text: `not withdrawn: ${answer.text}` };
  const { status, json } = answer;
  if (status === 200 && json.status === 'withdrawn') return { kind: 'kept', text: 'withdrawn' };
  if (status === 409 && typeof json.state === 'string') return { kind: 'taken', text: `it is ${json.state}` };
  return { kind: 'kept', text: `not withdrawn: HTTP ${status}` };
};

function listed(json) {
  return Array.isArray(json.messages) ? json.messages : [];
}

/** `unsent`: no octet of the request has left. Never rejects. */
function ask({ credentials }, { method, url, timeoutMs, headers, body }) {
  return new Promise((resolve) => {
    const { request } = url.protocol === 'https:' ? https : http;
    let connected = false;
    const authorization = credentials && `Basic ${Buffer.from(credentials).toString('base64')}`;
    const outgoing = request(url, {
      method,
      agent: false,
      headers: {
        ...headers,
        'user-agent': 'haraka-plugin-delay-xfer',
        ...(authorization && { authorization }),
      },
    });
    const fail = (text) => {
      clearTimeout(timer);
      resolve({ kind: connected ? 'lost' : 'unsent', text });
      outgoing.destroy();
    };
    const timer = setTimeout(() => fail(`no answer within ${timeoutMs} ms`), timeoutMs);
    outgoing.on('socket', (socket) => {
      socket.once(url.protocol === 'https:' ? 'secureConnect' : 'connect', () => {
        connected = true;
      });
    });
    outgoing.on('error', (error) => fail(error.message));
    outgoing.on('response', (response) => {
      readJson(response).then(
        (json) => {
          clearTimeout(timer);
          resolve({ kind: 'answer', status: response.statusCode, json });
          outgoing.destroy();
        },
        (error) => fail(error.message),
      );
    });
    send(outgoing, body).catch((error) => fail(error.message));
  });
}

async function send(outgoing, body) {
  for await (const piece of body === undefined ? [] : body()) {
    // An answer may come before the end of the body, and then nobody reads on.
    if (outgoing.destroyed) return;
    if (!outgoing.write(piece)) await drained(outgoing);
  }
  outgoing.end();
}

function drained(outgoing) {
  return new Promise((resolve) => {
    const done = () => {
      outgoing.off('drain', done);
      outgoing.off('close', done);
      resolve();
    };
    outgoing.on('drain', done);
    outgoing.on('close', done);
    if (outgoing.destroyed) done();
  });
}

async function readJson(response) {
  const pieces = [];
  let sizeBytes = 0;
  for await (const piece of response) {
    sizeBytes += piece.length;
    if (sizeBytes > MAX_ANSWER_BYTES) throw new Error('the answer is too long');
    pieces.push(piece);
  }
  try {
    const json = JSON.parse(Buffer.concat(pieces).toString());
    return typeof json === 'object' && json !== null ? json : {};
  } catch {
    return {};
  }
}
