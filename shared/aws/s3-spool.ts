// The spool on S3. Puts carry a checksum that S3 verifies; presigned puts sign length and SHA-256, so that only
// the announced octets can be stored under the key.

import { Readable } from 'node:stream';
import {
  DeleteObjectCommand,
  GetObjectCommand,
  NoSuchKey,
  PutObjectCommand,
  type S3Client,
} from '@aws-sdk/client-s3';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import type { Spool } from '../queue/ports.ts';
import { UPLOAD_URL_SECONDS } from './limits.ts';
import { errorName, storeCall } from './store-calls.ts';

export function createS3Spool(options: { readonly client: S3Client; readonly bucket: string }): Spool {
  const { client, bucket } = options;
  return {
    async put(key, bytes) {
      await storeCall('storing content', () =>
        client.send(
          new PutObjectCommand({ Bucket: bucket, Key: key, Body: bytes, ChecksumAlgorithm: 'CRC32' }),
        ),
      );
    },

    async open(key, offset, sizeBytes) {
      if (sizeBytes === 0) return Readable.from([]);
      return storeCall('opening content', async () => {
        try {
          const range = `bytes=${offset}-${offset + sizeBytes - 1}`;
          const { Body } = await client.send(
            new GetObjectCommand({ Bucket: bucket, Key: key, Range: range }),
          );
          return Body instanceof Readable ? Body : undefined;
        } catch (error) {
          const gone = error instanceof NoSuchKey || errorName(error) === 'InvalidRange';
          if (gone) return undefined;
          throw error;
        }
      });
    },

    async remove(key) {
      await storeCall('deleting content', () =>
        client.send(new DeleteObjectCommand({ Bucket: bucket, Key: key })),
      );
    },

    async presignPut(key, sizeBytes, sha256Hex) {
      const checksum = Buffer.from(sha256Hex, 'hex').toString('base64');
      const command = new PutObjectCommand({
        Bucket: bucket,
        Key: key,
        ContentLength: sizeBytes,
        ChecksumSHA256: checksum,
      });
      const url = await getSignedUrl(client, command, {
        expiresIn: UPLOAD_URL_SECONDS,
        // Left in the URL's query they would not bind the request.
        unhoistableHeaders: new Set(['x-amz-checksum-sha256']),
        signableHeaders: new Set(['host', 'content-length', 'x-amz-checksum-sha256']),
      });
      return {
        url,
        headers: { 'content-length': String(sizeBytes), 'x-amz-checksum-sha256': checksum },
      };
    },
  };
}
