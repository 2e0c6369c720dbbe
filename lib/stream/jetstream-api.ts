export { ApiCode, callApi, isApiError, isPassing, toFlowError } from '../connection/jetstream-api.js';
