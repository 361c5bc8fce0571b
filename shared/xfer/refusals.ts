// Replies for messages that the receiver keeps out for what it knows of them, beyond their own fields and content
// (`readHeader` and `judgeContent` author those). All are transient, so that the sending side keeps the mail. Each
// begins with a word that clients and searches can hold on to.

import { ownReply, type Reply } from '../smtp/reply.ts';

/** The id is known with other content or another sender. */
export const ID_REUSED: Reply = ownReply(451, '4.5.0', 'id-reused: this id stands for another message here');

/** The id was withdrawn; it is accepted afresh once the bar is over. */
export const BARRED: Reply = ownReply(
  451,
  '4.5.0',
  'barred: this id was withdrawn; send it again in an hour',
);

/** It is known that nothing of the message was committed. */
export const NOT_STORED: Reply = ownReply(
  451,
  '4.3.0',
  'not-stored: not stored within the time given; send it again',
);

/** No object under the key of this credential, id and sha256, or one of another size. */
export const UPLOAD_MISSING: Reply = ownReply(
  451,
  '4.6.0',
  'upload-missing: upload the content again, then send this',
);
