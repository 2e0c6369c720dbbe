import { Injectable } from '@nestjs/common';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  Flow,
  flow,
  FlowClient,
  FlowModule,
  FlowStep,
  InjectObjectStore,
  json,
  KvObject,
  type FlowContext,
  type KvReducer,
  type ObjectStore,
} from 'nestjs-jetstream-flow';
import { EmbeddedNatsServer } from 'nestjs-jetstream-flow/testing';
import { startFlowApp } from '../../support/flow-app.js';

interface Visit {
  page: string;
}
interface Count {
  visits: number;
}

@KvObject({ bucket: 'page_counts', schema: json<Count>('Count') })
class PageCounts implements KvReducer<Count, Visit, { page: string }> {
  key({ page }: { page: string }): string {
    return page;
  }
  empty(): Count {
    return { visits: 0 };
  }
  apply(state: Count): void {
    state.visits += 1;
  }
}

const Visits = flow('visits', { input: json<Visit>('Visit'), output: json<Count>('Count') });

@Flow(Visits)
class VisitFlow {
  constructor(@InjectObjectStore(PageCounts) private readonly counts: ObjectStore<PageCounts>) {}

  @FlowStep({})
  count(visit: Visit, ctx: FlowContext): Promise<Count> {
    return this.counts.update({ page: visit.page }, visit, { idempotencyKey: ctx.runId });
  }
}

@Injectable()
class Reader {
  constructor(@InjectObjectStore(PageCounts) readonly counts: ObjectStore<PageCounts>) {}
}

describe('a state object in a flow', () => {
  let server: EmbeddedNatsServer;

  beforeAll(async () => {
    server = await EmbeddedNatsServer.start();
  });
  afterAll(async () => {
    await server.stop();
  });

  it('is injected where it is needed and counts every run once', async () => {
    const feature = FlowModule.forFeature({ objects: [PageCounts] });
    await using app = await startFlowApp(server.url, [VisitFlow, Reader], { bucketPrefix: 'test_' }, [feature]);
    const flows = app.get(FlowClient);
    const runs = await Promise.all(
      Array.from({ length: 100 }, (_, n) => flows.start(Visits, { page: `p${n % 3}` }, { runId: `v${n}` })),
    );
    await Promise.all(runs.map((run) => run.result()));
    const { counts } = app.get(Reader);
    expect(counts.bucket).toBe('test_page_counts');
    expect(await counts.read({ page: 'p0' })).toEqual({ visits: 34 });
    expect(await counts.read({ page: 'p1' })).toEqual({ visits: 33 });
  });
});
