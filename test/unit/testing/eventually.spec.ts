import { describe, expect, it } from 'vitest';
import { FlowError } from 'nestjs-jetstream-flow';
import { eventually, WaitTimeoutError } from 'nestjs-jetstream-flow/testing';

async function failureOf(waiting: Promise<unknown>): Promise<WaitTimeoutError> {
  const error = await waiting.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(WaitTimeoutError);
  return error as WaitTimeoutError;
}

describe('eventually', () => {
  it('gives what the condition gives as soon as that is truthy', async () => {
    let looks = 0;
    const seen = await eventually(() => (++looks < 3 ? undefined : looks), { what: 'a third look', interval: 1 });
    expect(seen).toBe(3);
  });

  it('takes a condition that throws for one that has not come true yet', async () => {
    let looks = 0;
    const condition = async (): Promise<string> => {
      if (++looks < 3) throw new Error('not yet');
      return 'there';
    };
    expect(await eventually(condition, { what: 'it', interval: '1ms' })).toBe('there');
  });

  it('never looks twice at one time', async () => {
    let inside = 0;
    let looks = 0;
    const condition = async (): Promise<boolean> => {
      expect(++inside).toBe(1);
      await new Promise((resolve) => setTimeout(resolve, 5));
      inside--;
      return ++looks === 3;
    };
    await eventually(condition, { what: 'three looks', interval: 0 });
  });

  it('says what it waited for and what it saw instead', async () => {
    const error = await failureOf(eventually(() => 0, { what: 'the end', timeout: 20 }));
    expect(error.message).toBe('Waited 20 ms in vain for the end: it was last 0');
    expect(error).toBeInstanceOf(FlowError);
    expect(error.code).toBe('WAIT_TIMEOUT');
  });

  it('says how it is meant to one who uses it otherwise', async () => {
    const asserting = (): void => {
      expect(1).toBe(1);
    };
    const error = await failureOf(eventually(asserting, { what: 'the end', timeout: 20 }));
    expect(error.message).toMatch(/it was last undefined \(a condition that only asserts returns true at its end\)$/);
    const nameless = eventually as (condition: () => boolean, options?: object) => Promise<boolean>;
    for (const options of [undefined, {}, { what: '' }]) {
      await expect(nameless(() => true, options)).rejects.toThrow(/needs a name of what is waited for.*\{ what: 'the/);
    }
  });

  it('keeps the last error of the condition as the cause', async () => {
    const cause = new RangeError('too far');
    const condition = (): never => {
      throw cause;
    };
    const error = await failureOf(eventually(condition, { what: 'the end', timeout: '20ms' }));
    expect(error.message).toBe('Waited 20 ms in vain for the end: it last failed with RangeError: too far');
    expect(error.cause).toBe(cause);
  });

  it('does not wait for ever for a condition that never comes back', async () => {
    const error = await failureOf(eventually(() => new Promise(() => undefined), { what: 'the end', timeout: 20 }));
    expect(error.message).toBe('Waited 20 ms in vain for the end: the condition never came back');
  });

  it('refuses a duration that is none', async () => {
    await expect(eventually(() => 1, { what: 'it', timeout: -1 })).rejects.toThrow(RangeError);
  });
});
