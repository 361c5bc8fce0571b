// Where accepted mail lives: the spool (S3) and the ledger (DynamoDB). Both outlive the stack unless its
// parameters say otherwise. No construct grants itself anything here: each function states its own
// permissions on `bucket` and `table`.

import { Duration, RemovalPolicy } from 'aws-cdk-lib';
import { AttributeType, BillingMode, ProjectionType, Table } from 'aws-cdk-lib/aws-dynamodb';
import { BlockPublicAccess, Bucket, BucketEncryption } from 'aws-cdk-lib/aws-s3';
import { Construct } from 'constructs';
import { SPOOL_LIFETIME_DAYS } from '../../shared/aws/limits.ts';
import { INDEXES, PARTITION_KEY, SORT_KEY, TTL_ATTRIBUTE } from '../../shared/aws/table.ts';

/** An upload's URL lives 15 minutes; its parts cannot be of use to anybody a day later. */
const UNFINISHED_UPLOAD_DAYS = 1;

export interface StoresProps {
  readonly removalPolicy: RemovalPolicy;
}

export class Stores extends Construct {
  readonly bucket: Bucket;
  readonly table: Table;

  constructor(scope: Construct, id: string, { removalPolicy }: StoresProps) {
    super(scope, id);

    this.bucket = new Bucket(this, 'Spool', {
      encryption: BucketEncryption.S3_MANAGED,
      enforceSSL: true,
      minimumTLSVersion: 1.2,
      blockPublicAccess: BlockPublicAccess.BLOCK_ALL,
      lifecycleRules: [
        {
          id: 'backstop',
          expiration: Duration.days(SPOOL_LIFETIME_DAYS),
          abortIncompleteMultipartUploadAfter: Duration.days(UNFINISHED_UPLOAD_DAYS),
        },
      ],
      removalPolicy,
    });

    this.table = new Table(this, 'Ledger', {
      partitionKey: { name: PARTITION_KEY, type: AttributeType.STRING },
      sortKey: { name: SORT_KEY, type: AttributeType.STRING },
      billingMode: BillingMode.PAY_PER_REQUEST,
      timeToLiveAttribute: TTL_ATTRIBUTE,
      pointInTimeRecoverySpecification: { pointInTimeRecoveryEnabled: true },
      deletionProtection: removalPolicy === RemovalPolicy.RETAIN,
      removalPolicy,
    });
    for (const index of INDEXES) {
      this.table.addGlobalSecondaryIndex({
        indexName: index.name,
        partitionKey: { name: index.partitionKey, type: AttributeType.STRING },
        sortKey: { name: index.sortKey, type: AttributeType.STRING },
        projectionType: ProjectionType.KEYS_ONLY,
      });
    }
  }
}
