import type { Reporter, TestModule } from 'vitest/node';

/** Ends the report with every test that was skipped and the reason it gave with `context.skip(reason)`. */
export class SkipReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const skipped = modules.flatMap((module) => [...module.children.allTests('skipped')]);
    if (skipped.length === 0) return;
    const lines = skipped.map((test) => {
      const result = test.result();
      const reason = (result.state === 'skipped' ? result.note : undefined) ?? 'no reason given';
      return `  - ${test.module.relativeModuleId}: ${test.fullName}: ${reason}`;
    });
    console.log(`\n${skipped.length} skipped:\n${lines.join('\n')}\n`);
  }
}
