// The limits of the wire, by name and with their source. A fault that a limit causes names the limit's number.

/** Largest content that is accepted unless configured otherwise. */
export const MAX_MESSAGE_BYTES = 50 * 1024 * 1024;

/**
 * Above this a client uploads the content instead of sending it inline. A Lambda request takes 6,291,456 bytes
 * as one event, in which a binary body stands in base64: about 4.4 MiB of octets (AWS Lambda quotas).
 */
export const MAX_INLINE_BYTES = 4 * 1024 * 1024;

/** A request body is not inflated beyond this (gzip bombs); a function of 512 MB holds it several times. */
export const MAX_INFLATED_BYTES = 32 * 1024 * 1024;

/** An `application/json` body: 4 MiB of content take 5.6 MiB in base64. */
export const MAX_JSON_BODY_BYTES = 8 * 1024 * 1024;

/** Objects and arrays within each other, in a header line or a JSON body. */
export const MAX_JSON_DEPTH = 32;

/** A header line of 1,000 recipients, each with its longest address and ORCPT, stays below. */
export const MAX_HEADER_LINE_BYTES = 1024 * 1024;

/** Messages in one transfer. */
export const MAX_FRAMES = 1000;

/** Recipients of one message; RFC 5321 §4.5.3.1.8 asks for at least 100. */
export const MAX_RECIPIENTS = 1000;

/** `meta`, as compact JSON in UTF-8. */
export const MAX_META_BYTES = 4096;

/** RFC 3461 §4.4: ENVID, decoded. */
export const MAX_ENVID_CHARACTERS = 100;

/** RFC 3461 §4.2: ORCPT, decoded. */
export const MAX_ORCPT_CHARACTERS = 500;

/** KumoMTA counts attempts in 16 bits. */
export const MAX_ATTEMPTS = 65_535;

/** An expiry later than this after the message was first received is refused. */
export const EXPIRY_MAX_MS = 10 * 24 * 3600 * 1000;

/** Clocks differ: how far a `receivedAt` may lie ahead of ours, and an expiry beyond its maximum. */
export const CLOCK_SKEW_MS = 3600 * 1000;

/** The first instant that a date field may name: earlier ones are units mistaken, seconds for milliseconds. */
export const EARLIEST_MS = Date.UTC(2000, 0, 1);

/** What a receiver may configure. */
export interface TransferLimits {
  readonly maxMessageBytes: number;
  readonly maxInflatedBytes: number;
  readonly maxFrames: number;
}

export const DEFAULT_LIMITS: TransferLimits = {
  maxMessageBytes: MAX_MESSAGE_BYTES,
  maxInflatedBytes: MAX_INFLATED_BYTES,
  maxFrames: MAX_FRAMES,
};
