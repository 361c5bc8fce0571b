// A plugin for Haraka 3: when the delivery of a queued mail is deferred, the mail is handed over to delay-xfer. Only
// when that has said `accepted` or `duplicate` is it taken out of Haraka's queue; in every other case Haraka keeps it
// and tries again by its own schedule. It never bounces. The id is derived from the queue item, so that a repeat is
// recognised, also after a restart of Haraka. docs/senders/haraka.md tells how to install it.

const { handOver, withdraw } = require('./hand-over.js');
const { hostName, isHostName, messageOf } = require('./message.js');

/** Seconds for the withdrawal of mail that may have been taken, and for the way back. */
const WITHDRAWAL_SECONDS = 5;
const RESERVE_SECONDS = 1;

exports.register = function () {
  this.load_delay_xfer();
  this.register_hook('deferred', 'hand_over');
};

exports.load_delay_xfer = function () {
  const { main } = this.config.get('delay-xfer.ini', () => this.load_delay_xfer());
  const me = this.config.get('me');
  const most = this.timeout > 0 ? this.timeout - WITHDRAWAL_SECONDS - RESERVE_SECONDS : Infinity;
  const wanted = Number(main.timeout ?? 20);
  if (wanted > most) this.logwarn(`timeout = ${wanted} is over ${most} s, which is what Haraka leaves`);
  this.delay_xfer = {
    url: new URL(main.url ?? 'http://127.0.0.1:8081/delay_message'),
    credentials: main.user === undefined ? undefined : `${main.user}:${main.password ?? ''}`,
    timeoutMs: Math.max(Math.min(wanted, most), 2) * 1000,
    withdrawalMs: WITHDRAWAL_SECONDS * 1000,
    maxBytes: Number(main.max_bytes ?? 4_194_304),
    me: isHostName(me) ? me : hostName(),
  };
};

/** Of Haraka: `next()` defers the mail as Haraka would, `next(OK)` removes it from the queue. */
exports.hand_over = function (next, hmail) {
  const settings = this.delay_xfer;
  const tell = (level, text) => this[level](`${hmail.filename}: ${text}`);
  take(settings, hmail, tell).then(
    (taken) => (taken ? next(globalThis.OK) : next()),
    (error) => {
      tell('logerror', `not handed over: ${error.message}`);
      next();
    },
  );
};

/** Whether somebody else answers for the mail now. */
async function take(settings, hmail, tell) {
  const message = await messageOf(hmail, settings.me);
  const { id } = message.header;
  if (message.header.sizeBytes > settings.maxBytes) {
    tell('loginfo', `kept: ${message.header.sizeBytes} octets, max_bytes is ${settings.maxBytes}`);
    return false;
  }
  const outcome = await handOver(settings, message);
  if (outcome.kind === 'taken') tell('lognotice', `handed over as ${id}: ${outcome.text}`);
  if (outcome.kind === 'kept') tell('logwarn', `kept, ${id} was not taken: ${outcome.text}`);
  if (outcome.kind !== 'doubt') return outcome.kind === 'taken';
  const end = await withdraw(settings, id);
  tell('logwarn', `${id} may have been taken: ${outcome.text}; then: ${end.text}`);
  return end.kind === 'taken';
}
