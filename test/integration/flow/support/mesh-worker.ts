/** One process of the mesh flow, to be killed: `mesh-worker.ts <server url>`. Tells its parent when it runs. */
import 'reflect-metadata';
import { startFlowApp } from '../../../support/flow-app.js';
import { MeshFlow } from './mesh.flow.js';

const [url = ''] = process.argv.slice(2);
await startFlowApp(url, [MeshFlow], { reconnectWait: '100ms' });
// A parent that is gone leaves nobody to end this process.
process.on('disconnect', () => process.exit(1));
process.send?.('running');
