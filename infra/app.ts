// The CDK app: one stack. `cdk synth` needs no account and no network; region and account are those of the
// credentials that deploy. Parameter faults are printed together and end the app with status 1.

import { App } from 'aws-cdk-lib';
import { readParameters } from './parameters.ts';
import { DelayXferStack } from './stack.ts';

const app = new App();
const result = readParameters(app.node.getAllContext());
if (result.ok) {
  for (const warning of result.parameters.configuration?.warnings ?? [])
    console.error(`delay-xfer: ${warning}`);
  new DelayXferStack(app, 'delay-xfer', { parameters: result.parameters });
} else {
  console.error(`delay-xfer: the stack's parameters have faults:\n  ${result.faults.join('\n  ')}`);
  process.exitCode = 1;
}
