// What config/delay-xfer.ini says, checked. The file is read again while Haraka runs, in a callback whose exceptions
// would end the process, and the mail server with it: every fault is an Error that names the line and its mend.

const { hostName, isHostName } = require('./message.js');

/** Seconds for the withdrawal of mail that may have been taken, and for the way back. */
const WITHDRAWAL_SECONDS = 5;
const RESERVE_SECONDS = 1;
/** Shorter than this, no hand-over has a chance. */
const LEAST_SECONDS = 2;

const DEFAULT_URL = 'http://127.0.0.1:8081/delay_message';
const FIELDS = ['url', 'user', 'password', 'timeout', 'max_bytes'];

/** `limitSeconds` is what Haraka gives a plugin, 0 for no limit. Throws what makes the file unusable. */
exports.readSettings = (ini, { me, limitSeconds }) => {
  const { main = {}, ...others } = ini ?? {};
  const warnings = [
    ...Object.keys(main).flatMap((name) => (FIELDS.includes(name) ? [] : [unknown(name)])),
    ...Object.keys(others).map((name) => `section [${name}] is not read; everything stands in [main]`),
  ];
  const most = limitSeconds > 0 ? limitSeconds - WITHDRAWAL_SECONDS - RESERVE_SECONDS : Infinity;
  const wanted = numberOf(main, 'timeout', 20);
  if (wanted < LEAST_SECONDS) {
    throw fault(main, 'timeout', `are too few seconds; write ${LEAST_SECONDS} or more, such as timeout = 20`);
  }
  if (wanted > most) warnings.push(`timeout = ${wanted} is over ${most} s, which is what Haraka leaves`);
  const maxBytes = numberOf(main, 'max_bytes', 52_428_800);
  if (!Number.isInteger(maxBytes) || maxBytes < 1) {
    throw fault(main, 'max_bytes', 'is no number of octets; write max_bytes = 52428800');
  }
  return {
    warnings,
    settings: {
      url: urlOf(main),
      credentials: credentialsOf(main),
      timeoutMs: Math.max(Math.min(wanted, most), LEAST_SECONDS) * 1000,
      withdrawalMs: WITHDRAWAL_SECONDS * 1000,
      maxBytes,
      me: isHostName(me) ? me : hostName(),
    },
  };
};

function unknown(name) {
  return `${name} is not a setting; there are ${FIELDS.join(', ')}`;
}

function urlOf(main) {
  const text = String(main.url ?? DEFAULT_URL);
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url !== undefined && /^https?:$/.test(url.protocol)) return url;
  throw fault(main, 'url', `is no http or https URL; write it as url = ${DEFAULT_URL}`);
}

function credentialsOf(main) {
  if (main.user === undefined) {
    if (main.password === undefined) return undefined;
    throw new Error('password stands without user; write user = NAME above it');
  }
  // HTTP Basic ends the name at the first colon (RFC 7617, section 2).
  if (String(main.user).includes(':')) throw fault(main, 'user', 'has a colon; HTTP Basic allows none');
  return `${main.user}:${main.password ?? ''}`;
}

/** Haraka has made numbers of what looks like one; anything else is a unit or a typing error. */
function numberOf(main, name, otherwise) {
  const value = main[name] ?? otherwise;
  const number = typeof value === 'number' || /\d/.test(value) ? Number(value) : Number.NaN;
  if (Number.isFinite(number)) return number;
  const [unit, example] =
    name === 'timeout' ? ['seconds', 'timeout = 20'] : ['octets', 'max_bytes = 52428800'];
  throw fault(main, name, `is no plain number of ${unit}; write ${example}`);
}

function fault(main, name, text) {
  return new Error(`${name} = ${JSON.stringify(main[name])} ${text}`);
}
