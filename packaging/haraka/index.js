// A plugin for Haraka 3: when the delivery of a queued mail is deferred, the mail is handed over to delay-xfer. Only
// when that has said `accepted` or `duplicate` is it taken out of Haraka's queue; in every other case Haraka keeps it
// and tries again by its own schedule. It never bounces. The id is derived from the queue item, so that a repeat is
// recognised, also after a restart of Haraka. docs/senders/haraka.md tells how to install it.

const { handOver, withdraw } = require('./hand-over.js');
const { messageOf } = require('./message.js');
const { readSettings } = require('./settings.js');

exports.register = function () {
  this.load_delay_xfer();
  this.register_hook('deferred', 'hand_over');
};

/** Never throws: Haraka runs it whenever the file is saved, and an exception there would end the mail server. */
exports.load_delay_xfer = function () {
  try {
    const ini = this.config.get('delay-xfer.ini', () => this.load_delay_xfer());
    const { settings, warnings } = readSettings(ini, {
      me: this.config.get('me'),
      limitSeconds: this.timeout,
    });
    for (const warning of warnings) this.logwarn(`delay-xfer.ini: ${warning}`);
    this.delay_xfer = settings;
  } catch (error) {
    const kept = 'nothing is handed over until this is mended, deferred mail stays with Haraka';
    const end = this.delay_xfer === undefined ? kept : 'the settings from before stay in force';
    this.logerror(`delay-xfer.ini: ${error.message}; ${end}`);
  }
};

/** Of Haraka: `next()` defers the mail as Haraka would, `next(OK)` removes it from the queue. */
exports.hand_over = function (next, hmail) {
  const settings = this.delay_xfer;
  const tell = (level, text) => this[level](`${hmail.filename}: ${text}`);
  if (settings === undefined) {
    tell('logerror', 'kept: delay-xfer.ini has a fault, told when it was read');
    next();
    return;
  }
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
