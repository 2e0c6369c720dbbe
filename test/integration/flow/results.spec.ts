import { create } from '@bufbuild/protobuf';
import { StringValueSchema, type StringValue } from '@bufbuild/protobuf/wkt';
import { describe, expect, it } from 'vitest';
import { ConfigurationError, DecodeError, flow, FlowClient, FlowStep, json } from 'nestjs-jetstream-flow';
import { startFlowApp } from '../../support/flow-app.js';
import { useFlowServer } from '../../support/flow-server.js';

const Text = json<string>('Text');
const Worded = flow('worded', { input: Text, output: StringValueSchema });
const Undeclared = flow('worded', { input: Text });

class Steps {
  @FlowStep({ flow: Worded })
  say(value: string): StringValue {
    return create(StringValueSchema, { value });
  }
}

class UndeclaredSteps {
  @FlowStep({ flow: Undeclared, output: StringValueSchema })
  say(value: string): StringValue {
    return create(StringValueSchema, { value });
  }
}

describe('the result of a run', () => {
  const nats = useFlowServer();

  it('needs the same output in every contract that reads it; the error says so', async () => {
    await using app = await startFlowApp(nats.url, [Steps]);
    await using other = await startFlowApp(nats.url, [], { consume: false });
    const run = await app.get(FlowClient).start(Worded, 'hello', { runId: 'r1' });
    expect(await run.result()).toMatchObject({ $typeName: 'google.protobuf.StringValue', value: 'hello' });
    const wrong = other.get(FlowClient).run(Undeclared, 'r1');
    await expect(wrong.result()).rejects.toThrow(DecodeError);
    await expect(wrong.result()).rejects.toThrow(
      /"r1" of flow "worded" ended with .*google\.protobuf\.StringValue.* is application\/json: declare the same "output"/,
    );
    expect(await wrong.status()).toMatchObject({ state: 'completed' });
  });

  it('that nobody could read stops the boot', async () => {
    const boot = startFlowApp(nats.url, [UndeclaredSteps]);
    await expect(boot).rejects.toThrow(ConfigurationError);
    await expect(boot).rejects.toThrow(/"say".*google\.protobuf\.StringValue.*declare the contract's "output"/);
  });
});
