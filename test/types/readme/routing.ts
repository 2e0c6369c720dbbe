import { Flow, flow, FlowStep, json } from 'nestjs-jetstream-flow';

interface Claim {
  id: string;
  amount: number;
  country: string;
}
interface Verdict {
  id: string;
  paid: boolean;
}

const ClaimSchema = json<Claim>('Claim');
const VerdictSchema = json<Verdict>('Verdict');
export const Claims = flow('claims', { input: ClaimSchema, output: VerdictSchema });

@Flow(Claims)
export class ClaimFlow {
  // Filter: undefined ends this branch of the run.
  @FlowStep({ output: ClaimSchema })
  check(claim: Claim): Claim | undefined {
    return claim.amount > 0 ? claim : undefined;
  }

  // Broadcast: every unconditional step after "check" gets each claim.
  @FlowStep({ after: 'check' })
  audit(claim: Claim): void {
    console.log('audit', claim.id);
  }

  // Split: the first "when" that holds gets the claim, "otherwise" gets the rest.
  @FlowStep({ after: 'check', when: (claim: Claim) => claim.amount > 10_000, output: VerdictSchema })
  review(claim: Claim): Verdict {
    return { id: claim.id, paid: false };
  }

  @FlowStep({ after: 'check', otherwise: true, output: VerdictSchema })
  pay(claim: Claim): Verdict {
    return { id: claim.id, paid: true };
  }

  // Merge: results of both come here, each by itself.
  @FlowStep({ after: ['review', 'pay'] })
  close(verdict: Verdict): Verdict {
    return verdict;
  }
}
